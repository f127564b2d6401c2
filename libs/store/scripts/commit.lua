-- One commit: check every expectation, then write records and append events at the next revision.
-- A script is atomic but not rolled back: everything that can fail comes before, or is, the first effect.
-- A record is kept as "<revision> <created revision> <expires at ms, 0 = never>\n<value>".
--
-- KEYS: revision, records (hash), names (zset, score 0), expiries (zset), events (stream), mark of the commit id
-- ARGV: now ms, life of the mark ms, number of writes,
--       then for each write: "put" | "delete", name, "anything" | "absent" | revision, value, expires at ms,
--       then for each event: subject, payload
-- Returns {"committed" | "replayed", revision} or {"conflict", index of the write, actual revision | ""}.
local revision_key, records, names, expiries, events, mark = unpack(KEYS)
local now, mark_life, write_count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local WRITES_START, WRITE_SIZE = 4, 5

local known = redis.call('GET', mark)
if known then
  return {'replayed', known}
end

local created = {}
for i = 1, write_count do
  local at = WRITES_START + (i - 1) * WRITE_SIZE
  local name, expected = ARGV[at + 1], ARGV[at + 2]
  local actual = ''
  local held = redis.call('HGET', records, name)
  if held then
    local revision, created_revision, expires_at = string.match(held, '^(%d+) (%d+) (%d+)\n')
    if expires_at == '0' or tonumber(expires_at) > now then
      actual = revision
      created[name] = created_revision
    end
  end
  if (expected == 'absent' and actual ~= '')
    or (expected ~= 'absent' and expected ~= 'anything' and actual ~= expected) then
    return {'conflict', i - 1, actual}
  end
end

local revision = string.format('%.0f', redis.call('INCR', revision_key))
local at, index = WRITES_START + write_count * WRITE_SIZE, 0
while at < #ARGV do
  redis.call('XADD', events, revision .. '-' .. index, 'subject', ARGV[at], 'event', ARGV[at + 1])
  at, index = at + 2, index + 1
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', ARGV[1], 'LIMIT', 0, 100)) do
  redis.call('HDEL', records, name)
  redis.call('ZREM', names, name)
  redis.call('ZREM', expiries, name)
end

for i = 1, write_count do
  at = WRITES_START + (i - 1) * WRITE_SIZE
  local verb, name, value, expires_at = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4]
  if verb == 'put' then
    local header = revision .. ' ' .. (created[name] or revision) .. ' ' .. expires_at .. '\n'
    redis.call('HSET', records, name, header .. value)
    redis.call('ZADD', names, 0, name)
  else
    redis.call('HDEL', records, name)
    redis.call('ZREM', names, name)
  end
  if verb == 'put' and expires_at ~= '0' then
    redis.call('ZADD', expiries, expires_at, name)
  else
    redis.call('ZREM', expiries, name)
  end
end

redis.call('SET', mark, revision, 'PX', mark_life)
return {'committed', revision}
