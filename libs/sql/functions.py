"""The scalar functions a tenant may call, and why others may not be called.

The catalogue is closed: a function that a new release of the engine adds is unknown until it is looked
at here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NullRule(StrEnum):
    """What a function makes of null arguments."""

    PROPAGATES = "null if any argument is null"
    SKIPS = "null arguments are left out"
    DECIDES = "defined by the function"


@dataclass(frozen=True)
class Function:
    """One callable function; `category` groups the documentation."""

    name: str
    category: str
    nulls: NullRule


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CATEGORIES: dict[str, tuple[str, ...]] = {
    "text": _words(
        """
        ascii bit_length btrim char_length character_length chr concat concat_ws contains ends_with
        find_in_set initcap instr left length levenshtein lower lpad ltrim octet_length position repeat
        replace reverse right rpad rtrim split_part starts_with strpos substr substr_index substring
        substring_index to_hex translate trim upper
        """
    ),
    "regular expression": _words("regexp_count regexp_instr regexp_like regexp_match regexp_replace"),
    "binary and hash": _words("decode digest encode md5 sha224 sha256 sha384 sha512"),
    "number": _words(
        """
        abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh cot degrees exp factorial floor gcd
        isnan iszero lcm ln log log10 log2 nanvl pi pow power radians round signum sin sinh sqrt tan tanh
        trunc
        """
    ),
    "time": _words(
        """
        date_bin date_format date_part date_trunc datepart datetrunc from_unixtime make_date to_char to_date
        to_local_time to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos
        to_timestamp_seconds to_unixtime
        """
    ),
    "condition": _words("coalesce greatest ifnull least nullif nvl nvl2"),
    "array": _words(
        """
        array_any_value array_append array_cat array_compact array_concat array_contains array_distinct
        array_element array_empty array_except array_extract array_has array_has_all array_has_any
        array_indexof array_intersect array_join array_length array_max array_min array_ndims
        array_pop_back array_pop_front array_position array_positions array_prepend array_remove
        array_remove_all array_remove_n array_repeat array_replace array_replace_all array_replace_n
        array_reverse array_slice array_sort array_sum array_to_string array_union arrays_overlap
        cardinality empty flatten make_array string_to_array
        """
    ),
    "map and record": _words("element_at map_entries map_extract map_keys map_values named_struct"),
    "type": _words("arrow_typeof"),
}
_SKIPS_NULLS = frozenset(_words("concat concat_ws greatest least array_to_string array_join"))
_DECIDES = frozenset(
    _words(
        """
        coalesce ifnull nullif nvl nvl2 make_array named_struct array_append array_prepend array_concat
        array_cat array_position array_positions array_indexof array_remove array_remove_all array_remove_n
        array_replace array_replace_all array_replace_n array_contains array_has array_has_all
        array_has_any array_any_value arrow_typeof pi array_repeat array_union array_intersect array_except
        regexp_count regexp_instr element_at map_extract
        """
    )
)


def _nulls(name: str) -> NullRule:
    if name in _SKIPS_NULLS:
        return NullRule.SKIPS
    return NullRule.DECIDES if name in _DECIDES else NullRule.PROPAGATES


FUNCTIONS: dict[str, Function] = {
    name: Function(name, category, _nulls(name)) for category, names in _CATEGORIES.items() for name in names
}

VOLATILE = frozenset(
    _words(
        """
        now random rand uuid today current_date current_time current_timestamp localtime localtimestamp
        current_user current_role session_user version gen_random_uuid sysdate getdate
        """
    )
)
"""Their answer changes between two runs of the same rows, so a replay would not repeat the output."""

AGGREGATES = frozenset(
    _words(
        """
        any_value approx_distinct approx_median approx_percentile_cont approx_percentile_cont_with_weight
        array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar covar_pop covar_samp
        first_value grouping last_value max mean median min nth_value percentile_cont quantile_cont
        regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev
        stddev_pop stddev_samp string_agg sum var var_pop var_population var_samp var_sample cume_dist
        dense_rank lag lead ntile percent_rank rank row_number count_if group_concat listagg
        """
    )
)

FORBIDDEN: dict[str, str] = {
    **dict.fromkeys(_words("generate_series range unnest explode"), "it makes any number of rows or values"),
    **dict.fromkeys(
        _words("read_csv read_parquet read_json read_avro input_file_name file_row_index"),
        "a statement has no access to files",
    ),
    "get_field": "write record.field",
    **dict.fromkeys(
        _words("arrow_cast arrow_try_cast cast_to_type try_cast_to_type"), "use CAST or TRY_CAST"
    ),
}

REGULAR_EXPRESSIONS = frozenset(_CATEGORIES["regular expression"])
