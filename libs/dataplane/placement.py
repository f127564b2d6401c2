"""Elements of a splittable DoFn that Flink places one to a subtask.

Beam's Flink runner (2.70, portable, streaming) puts a `keyBy` before the stage that processes a splittable DoFn:
`SdfFlinkKeyKeySelector` takes the *element* alone (neither restriction nor size), encoded in the nested form of its
coder, as a `FlinkKey`. From there the subtask follows by pure arithmetic:

    FlinkKey.hashCode   murmur3_128 (x64, seed 0, Guava) of the encoded element, its first 32 bits
    key group           MathUtils.murmurHash(hashCode) % maxParallelism          (KeyGroupRangeAssignment)
    subtask             key group * parallelism / maxParallelism                  (the same)

With arbitrary elements about a third of the subtasks stay idle, and since a never-returning `process()` holds its
subtask for ever, the element behind it never starts. So each element carries a salt, chosen such that shard `i` lands
on subtask `i`. The element must be `bytes` with Beam's bytes coder (`with_output_types(bytes)`).
"""

import struct

_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
_UPPER_BOUND_MAX_PARALLELISM = 1 << 15


def salts(shards: int, parallelism: int, max_parallelism: int | None = None) -> list[bytes]:
    """One element for each shard; element `i` runs on subtask `i` of a stage with `parallelism` subtasks.

    `max_parallelism` is the job's (pipeline option `max_parallelism`); None means Flink's default for `parallelism`.
    `shard_in` reads the shard from an element. The same arguments always give the same elements. ValueError when
    there are more shards than subtasks: what shares a subtask with a never-returning reader never starts.
    """
    if not 1 <= shards <= parallelism:
        raise ValueError(f"shards is {shards}: it must be from 1 to the parallelism, which is {parallelism}")
    groups = default_max_parallelism(parallelism) if max_parallelism is None else max_parallelism
    if not parallelism <= groups <= _UPPER_BOUND_MAX_PARALLELISM:
        raise ValueError(
            f"max_parallelism is {groups}: it must be from {parallelism} to {_UPPER_BOUND_MAX_PARALLELISM}"
        )
    return [_element_for(shard, parallelism, groups) for shard in range(shards)]


def shard_in(element: bytes) -> int:
    """The shard that an element of `salts` stands for."""
    return int(element.partition(b"#")[0])


def _element_for(shard: int, parallelism: int, max_parallelism: int) -> bytes:
    salt = 0
    while True:
        element = b"%d#%d" % (shard, salt)
        if subtask_of(element, parallelism, max_parallelism) == shard:
            return element
        salt += 1


def default_max_parallelism(parallelism: int) -> int:
    """Flink's `KeyGroupRangeAssignment.computeDefaultMaxParallelism`: 1.5 times, as a power of two, at least 128."""
    needed = parallelism + parallelism // 2
    return min(max(1 << (needed - 1).bit_length(), 128), _UPPER_BOUND_MAX_PARALLELISM)


def subtask_of(element: bytes, parallelism: int, max_parallelism: int) -> int:
    """The subtask on which Flink runs the element."""
    key_group = _flink_murmur_hash(_flink_key_hash(element)) % max_parallelism
    return key_group * parallelism // max_parallelism


def _flink_key_hash(element: bytes) -> int:
    return _murmur3_128_first_word(_varint(len(element)) + element)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _rotate_left(word: int, by: int, bits: int, mask: int) -> int:
    return (word << by | word >> (bits - by)) & mask


def _mix_64(word: int) -> int:
    word ^= word >> 33
    word = word * 0xFF51AFD7ED558CCD & _MASK_64
    word ^= word >> 33
    word = word * 0xC4CEB9FE1A85EC53 & _MASK_64
    return word ^ word >> 33


def _murmur3_128_first_word(data: bytes) -> int:
    """The first 32 bits (little endian, unsigned) of MurmurHash3_x64_128 with seed 0."""
    first_constant, second_constant = 0x87C37B91114253D5, 0x4CF5AD432745937F

    def scramble_first(word: int) -> int:
        word = _rotate_left(word * first_constant & _MASK_64, 31, 64, _MASK_64)
        return word * second_constant & _MASK_64

    def scramble_second(word: int) -> int:
        word = _rotate_left(word * second_constant & _MASK_64, 33, 64, _MASK_64)
        return word * first_constant & _MASK_64

    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for k1, k2 in struct.iter_unpack("<QQ", data[:whole]):
        h1 = _rotate_left(h1 ^ scramble_first(k1), 27, 64, _MASK_64)
        h1 = ((h1 + h2) * 5 + 0x52DCE729) & _MASK_64
        h2 = _rotate_left(h2 ^ scramble_second(k2), 31, 64, _MASK_64)
        h2 = ((h2 + h1) * 5 + 0x38495AB5) & _MASK_64
    rest = data[whole:]
    h2 ^= scramble_second(int.from_bytes(rest[8:], "little"))
    h1 ^= scramble_first(int.from_bytes(rest[:8], "little"))
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & _MASK_64
    h2 = (h2 + h1) & _MASK_64
    return (_mix_64(h1) + _mix_64(h2)) & _MASK_64 & _MASK_32


def _flink_murmur_hash(code: int) -> int:
    """Flink's `MathUtils.murmurHash(int)`: never negative."""
    code = code * 0xCC9E2D51 & _MASK_32
    code = _rotate_left(code, 15, 32, _MASK_32)
    code = code * 0x1B873593 & _MASK_32
    code = _rotate_left(code, 13, 32, _MASK_32)
    code = (code * 5 + 0xE6546B64) & _MASK_32
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _MASK_32
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _MASK_32
    code ^= code >> 16
    if code < 1 << 31:
        return code
    return 0 if code == 1 << 31 else (1 << 32) - code
