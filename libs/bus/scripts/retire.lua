-- Delete consumers for which nothing is pending: one by name, the others when they were not seen for long.
--
-- KEYS: events
-- ARGV: group, consumer, idle ms
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local known = {}
  for i = 1, #fields, 2 do
    known[fields[i]] = fields[i + 1]
  end
  local gone = known['name'] == ARGV[2] or known['idle'] > tonumber(ARGV[3])
  if gone and known['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], known['name'])
  end
end
return 1
