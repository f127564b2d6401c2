-- Move a pending entry to the dead letters; nothing happens if it is pending no more.
--
-- KEYS: events, dead letters
-- ARGV: group, entry id, subject, payload, error, deliveries, time (RFC 3339)
local events, dead_letters = KEYS[1], KEYS[2]
local group, id, subject, payload, err, deliveries, time = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1) == 0 then
  return 0
end
redis.call('XADD', dead_letters, '*', 'subject', subject, 'event', payload, 'entry', id, 'error', err,
  'deliveries', deliveries, 'time', time)
return redis.call('XACK', events, group, id)
