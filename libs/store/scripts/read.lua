-- Entries of the stream from a place on, with the revisions of that very moment.
--
-- KEYS: revision, events, compact revision
-- ARGV: first entry id (inclusive), count
-- Returns {revision, compact revision, entries}
local entries = redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', ARGV[2])
return {redis.call('GET', KEYS[1]) or '0', redis.call('GET', KEYS[3]) or '0', entries}
