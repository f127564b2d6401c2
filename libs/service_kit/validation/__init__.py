"""Request validation by the `buf.validate` rules in the .proto files (ADR 0007).

A message type is compiled once to a list of checks; a rule that is not known is an error at that moment
(when the servicer is registered), never ignored. Semantics are protovalidate's, which is the oracle in the
tests.
"""

from collections.abc import Callable
from typing import Any, cast

from buf.validate import validate_pb2
from google.protobuf import unknown_fields
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message

from libs.service_kit.errors import FieldViolation, InvalidArgument
from libs.service_kit.validation.value_rules import UnsupportedRule, ValueRule, shown, value_rules

__all__ = ["MAX_DEPTH", "MAX_VIOLATIONS", "UnsupportedRule", "Validator", "validate"]

MAX_DEPTH = 32
MAX_VIOLATIONS = 100

# A check appends to the list what is wrong with the message, paths relative to it; the number is the depth
# so far.
_Check = Callable[[Any, list[FieldViolation], int], None]


def validate(message: Message, prefix: str = "") -> None:
    """InvalidArgument with every violation (at most 100); paths begin with `prefix`
    (`subscription.payload.sql`).
    """
    violations = _default.violations(message)
    if violations:
        raise InvalidArgument(
            [_under(prefix, violation) if prefix else violation for violation in violations]
        )


def _under(prefix: str, violation: FieldViolation) -> FieldViolation:
    path = f"{prefix}.{violation.field}" if violation.field else prefix
    return FieldViolation(path, violation.description, violation.reason)


def _judge(rules: tuple[ValueRule, ...], value: Any, path: str, out: list[FieldViolation]) -> None:
    """At most one violation a value: the first rule that does not hold."""
    for rule in rules:
        if not rule.holds(value):
            if len(out) < MAX_VIOLATIONS:
                out.append(FieldViolation(path, f"{shown(value)} must {rule.allowed}", rule.reason))
            return


class Validator:
    """Compiled checks of message types; `require` compiles, `violations` judges."""

    def __init__(self) -> None:
        self._plans: dict[str, tuple[_Check, ...]] = {}

    def require(self, descriptor: Descriptor) -> None:
        """Compile the type and all types within it. Raises UnsupportedRule with the field's full name."""
        self._plan(descriptor)

    def violations(self, message: Message) -> list[FieldViolation]:
        plan = self._plans.get(message.DESCRIPTOR.full_name)
        if plan is None:
            plan = self._plan(cast("Descriptor", message.DESCRIPTOR))
        out: list[FieldViolation] = []
        for check in plan:
            check(message, out, 1)
        return out

    def _plan(self, descriptor: Descriptor) -> tuple[_Check, ...]:
        known = self._plans.get(descriptor.full_name)
        if known is not None:
            return known
        compiled: dict[str, tuple[_Check, ...]] = {}
        _compile(descriptor, compiled, self._plans)
        _forget_empty(compiled)
        # All or nothing: a type whose rules are refused is refused again the next time.
        self._plans.update(compiled)
        return self._plans[descriptor.full_name]


def _forget_empty(compiled: dict[str, tuple[_Check, ...]]) -> None:
    """Drop descents into types without a rule anywhere below, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for name, plan in compiled.items():
            kept = tuple(check for check in plan if not (isinstance(check, _Descent) and check.is_idle()))
            if len(kept) != len(plan):
                compiled[name] = kept
                changed = True


def _compile(
    descriptor: Descriptor, compiled: dict[str, tuple[_Check, ...]], known: dict[str, tuple[_Check, ...]]
) -> None:
    """Adds the plans of this type and of the types it contains to `compiled`."""
    name = descriptor.full_name
    if name in compiled or name in known:
        return
    compiled[name] = ()
    if len(unknown_fields.UnknownFieldSet(descriptor.GetOptions())) or descriptor.GetOptions().HasExtension(
        validate_pb2.message  # type: ignore[arg-type]  # the stub types an extension as its descriptor
    ):
        raise UnsupportedRule(f"{name}: message-level rules are not supported")
    checks: list[_Check] = []
    for oneof in descriptor.oneofs:
        options: Any = oneof.GetOptions()
        if options.HasExtension(validate_pb2.oneof) and options.Extensions[validate_pb2.oneof].required:
            checks.append(_required_oneof(oneof))
    for field in descriptor.fields:
        field_options: Any = field.GetOptions()
        if len(unknown_fields.UnknownFieldSet(field_options)):
            raise UnsupportedRule(f"{field.full_name}: unknown field option")
        if field_options.HasExtension(validate_pb2.predefined):
            raise UnsupportedRule(f"{field.full_name}: predefined rules are not supported")
        rules: validate_pb2.FieldRules = field_options.Extensions[validate_pb2.field]
        if rules.ignore == validate_pb2.IGNORE_ALWAYS:
            continue
        if field_options.HasExtension(validate_pb2.field):
            checks.extend(_field_checks(field, rules))
        inner = _descent_type(field, rules)
        if inner is not None:
            _compile(inner, compiled, known)
            checks.append(_Descent(field, inner.full_name, compiled, known))
    compiled[name] = tuple(checks)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _descent_type(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Descriptor | None:
    """The message type whose own rules apply to the field's value, items or map values."""
    if field.message_type is None:
        return None
    if _is_map(field):
        if rules.map.values.ignore == validate_pb2.IGNORE_ALWAYS:
            return None
        return field.message_type.fields_by_name["value"].message_type
    return None if rules.repeated.items.ignore == validate_pb2.IGNORE_ALWAYS else field.message_type


def _refuse_unknown(rules: validate_pb2.FieldRules, where: str, *, is_element: bool = False) -> None:
    present = {field.name for field, _ in rules.ListFields()} - {rules.WhichOneof("type")}
    unknown = present - ({"ignore"} if is_element else {"ignore", "required"})
    if unknown or len(unknown_fields.UnknownFieldSet(rules)):
        raise UnsupportedRule(f"{where}: rule {', '.join(sorted(unknown)) or '(unknown)'} is not supported")


def _required_oneof(oneof: OneofDescriptor) -> _Check:
    name = oneof.name
    allowed = ", ".join(field.name for field in oneof.fields)

    def check(message: Any, out: list[FieldViolation], depth: int) -> None:
        if message.WhichOneof(name) is None:
            out.append(FieldViolation(name, f"exactly one of {allowed} is required", "REQUIRED"))

    return check


def _field_checks(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> list[_Check]:
    where = field.full_name
    _refuse_unknown(rules, where)
    if not field.is_repeated:
        return _singular_checks(field, rules)
    kind = rules.WhichOneof("type")
    is_map = _is_map(field)
    if kind is not None and kind != ("map" if is_map else "repeated"):
        raise UnsupportedRule(f"{where}: {kind} rules are not supported for this type of field")
    return _map_checks(field, rules) if is_map else _repeated_checks(field, rules)


def _singular_checks(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> list[_Check]:
    judged = tuple(value_rules(field, rules, field.full_name))
    name, required = field.name, rules.required
    missing = FieldViolation(name, "a value is required", "REQUIRED")
    if field.has_presence:

        def check_presence(message: Any, out: list[FieldViolation], depth: int) -> None:
            if message.HasField(name):
                _judge(judged, getattr(message, name), name, out)
            elif required:
                out.append(missing)

        return [check_presence] if judged or required else []
    skip_zero = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE

    def check(message: Any, out: list[FieldViolation], depth: int) -> None:
        value = getattr(message, name)
        if not value:
            if required:
                out.append(missing)
                return
            if skip_zero:
                return
        _judge(judged, value, name, out)

    return [check] if judged or required else []


def _element_rules(
    field: FieldDescriptor, rules: validate_pb2.FieldRules, where: str
) -> tuple[tuple[ValueRule, ...], bool]:
    """The rules of items, keys or values, and whether zero values are exempt from them."""
    _refuse_unknown(rules, where, is_element=True)
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return (), False
    return tuple(value_rules(field, rules, where)), rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE


def _size_check(
    name: str, least: int | None, most: int | None, unit: str, rules: validate_pb2.FieldRules
) -> _Check | None:
    required = rules.required
    skip_empty = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE

    def check(message: Any, out: list[FieldViolation], depth: int) -> None:
        size = len(getattr(message, name))
        if not size:
            if required:
                out.append(FieldViolation(name, "a value is required", "REQUIRED"))
                return
            if skip_empty:
                return
        if least is not None and size < least:
            out.append(
                FieldViolation(name, f"{size} {unit} given, at least {least} allowed", f"MIN_{unit}".upper())
            )
        elif most is not None and size > most:
            out.append(
                FieldViolation(name, f"{size} {unit} given, at most {most} allowed", f"MAX_{unit}".upper())
            )

    return None if least is None and most is None and not required else check


def _optional(rules: Any, name: str) -> int | None:
    return int(getattr(rules, name)) if rules.HasField(name) else None


def _repeated_checks(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> list[_Check]:
    repeated, name, where = rules.repeated, field.name, field.full_name
    if len(unknown_fields.UnknownFieldSet(repeated)) or repeated.ListFields()[4:]:
        raise UnsupportedRule(f"{where}: unknown repeated rules")
    size = _size_check(
        name, _optional(repeated, "min_items"), _optional(repeated, "max_items"), "items", rules
    )
    checks: list[_Check] = [size] if size else []
    if repeated.unique:
        if field.message_type is not None:
            raise UnsupportedRule(f"{where}: repeated.unique is not supported for messages")

        def check_unique(message: Any, out: list[FieldViolation], depth: int) -> None:
            values = getattr(message, name)
            if len(values) > 1 and len(set(values)) != len(values):
                twice = next(value for index, value in enumerate(values) if value in values[:index])
                out.append(
                    FieldViolation(name, f"{shown(twice)} is given twice, items must be unique", "UNIQUE")
                )

        checks.append(check_unique)
    judged, skip_zero = _element_rules(field, repeated.items, f"{where} items")
    if judged:

        def check_items(message: Any, out: list[FieldViolation], depth: int) -> None:
            for index, value in enumerate(getattr(message, name)):
                if value or not skip_zero:
                    _judge(judged, value, f"{name}[{index}]", out)

        checks.append(check_items)
    return checks


def _key_text(key: Any) -> str:
    """A map key in a field path, as protovalidate writes it."""
    if isinstance(key, str):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        return f'"{escaped}"'
    return str(key).lower() if isinstance(key, bool) else str(key)


def _map_checks(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> list[_Check]:
    name, where = field.name, field.full_name
    if len(unknown_fields.UnknownFieldSet(rules.map)):
        raise UnsupportedRule(f"{where}: unknown map rules")
    entry = cast("Descriptor", field.message_type).fields_by_name
    size = _size_check(
        name, _optional(rules.map, "min_pairs"), _optional(rules.map, "max_pairs"), "pairs", rules
    )
    keys, skip_zero_keys = _element_rules(entry["key"], rules.map.keys, f"{where} keys")
    values, skip_zero_values = _element_rules(entry["value"], rules.map.values, f"{where} values")
    checks: list[_Check] = [size] if size else []
    if keys or values:

        def check_entries(message: Any, out: list[FieldViolation], depth: int) -> None:
            for key, value in getattr(message, name).items():
                path = f"{name}[{_key_text(key)}]"
                if key or not skip_zero_keys:
                    _judge(keys, key, path, out)
                if value or not skip_zero_values:
                    _judge(values, value, path, out)

        checks.append(check_entries)
    return checks


class _Descent:
    """The rules of the message type of a field, applied to its value, its items or its map values."""

    def __init__(
        self,
        field: FieldDescriptor,
        inner: str,
        compiled: dict[str, tuple[_Check, ...]],
        known: dict[str, tuple[_Check, ...]],
    ) -> None:
        self._name = field.name
        self._is_map = _is_map(field)
        self._is_repeated = field.is_repeated
        self._inner = inner
        self._compiled = compiled
        self._known = known
        self._plan: tuple[_Check, ...] | None = None

    def _checks(self) -> tuple[_Check, ...]:
        return self._compiled[self._inner] if self._inner in self._compiled else self._known[self._inner]

    def is_idle(self) -> bool:
        return not self._checks()

    def __call__(self, message: Any, out: list[FieldViolation], depth: int) -> None:
        name = self._name
        if self._is_map:
            for key, value in getattr(message, name).items():
                self._descend(value, f"{name}[{_key_text(key)}]", out, depth)
        elif self._is_repeated:
            for index, value in enumerate(getattr(message, name)):
                self._descend(value, f"{name}[{index}]", out, depth)
        elif message.HasField(name):
            self._descend(getattr(message, name), name, out, depth)

    def _descend(self, value: Any, path: str, out: list[FieldViolation], depth: int) -> None:
        before = len(out)
        if before >= MAX_VIOLATIONS:
            return
        if depth >= MAX_DEPTH:
            out.append(FieldViolation(path, f"nested deeper than {MAX_DEPTH} messages", "NESTED_TOO_DEEP"))
            return
        plan = self._plan
        if plan is None:
            plan = self._plan = self._checks()
        for check in plan:
            check(value, out, depth + 1)
        for index in range(before, len(out)):
            out[index] = _under(path, out[index])


_default = Validator()
