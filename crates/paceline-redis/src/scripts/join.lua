-- Makes a set or finds it, and makes its caller a member.
-- KEYS: head, journal, members
-- ARGV: layout version, limits, a new incarnation, member, whether it was that before, lease in microseconds, channel,
--       for how many milliseconds to keep what nobody uses, of what the caller knows the incarnation (empty: it knows
--       nothing), the number of its last entry and that one's first 24 bytes, an image to make the set with (empty: none
--       yet), the image's instant, the members in it...
for i, kind in ipairs({'hash', 'list', 'zset'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= kind then return {'foreign', KEYS[i]} end
end
local head = redis.call('HMGET', KEYS[1], 'version', 'limits', 'incarnation', 'tail', 'now', 'image_at', 'image', 'mark',
  'expires')
if head[1] and head[1] ~= ARGV[1] then return {'version', head[1]} end
if head[1] and head[2] ~= ARGV[2] then return {'limits', head[2]} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease = tonumber(ARGV[6])

local function whole(n) return string.format('%.0f', n) end

-- Where a part of it was taken away, nobody makes it anew but who has seen all of it, and is called. Where a failover has
-- lost the end, who has seen that knows more than what is here.
local torn, lost, knows
if head[1] then
  local tail, seen = tonumber(head[4]), ARGV[9] == head[3] and tonumber(ARGV[10]) or -1
  torn, lost, knows = tonumber(head[6]) < tail - redis.call('LLEN', KEYS[2]), seen > tail, seen >= tail
else
  torn = redis.call('EXISTS', KEYS[2], KEYS[3]) > 0
  local last = redis.call('LINDEX', KEYS[2], -1)
  knows = ARGV[9] ~= '' and (not last or string.sub(last, 1, 24) == ARGV[11])
end
if torn and not knows then
  redis.call('PUBLISH', ARGV[7], '')
  return {'torn'}
end

if torn or lost or not head[1] then
  if ARGV[12] == '' then return {'none', now} end
  now = math.max(now, tonumber(ARGV[13]), tonumber(head[5] or 0))
  -- First, since a store without memory refuses this and not what comes after a write.
  redis.call('HSET', KEYS[1], 'now', whole(now))
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'limits', ARGV[2], 'incarnation', ARGV[3], 'tail', 0,
    'now', whole(now), 'image_at', 0, 'image', ARGV[12], 'mark', '')
  for i = 14, #ARGV do
    redis.call('ZADD', KEYS[3], whole(now + lease), ARGV[i])
    redis.call('HSET', KEYS[1], ARGV[i], 0)
  end
  head = {ARGV[1], ARGV[2], ARGV[3], 0, now, 0, ARGV[12], '', 0}
end
now = math.max(now, tonumber(head[5]))

-- The members were taken away, or there are none: all who may hold something have their leases again.
if redis.call('EXISTS', KEYS[3]) == 0 then
  for _, member in ipairs(redis.call('HKEYS', KEYS[1])) do
    if tonumber(member) then redis.call('ZADD', KEYS[3], whole(now + lease), member) end
  end
end
if ARGV[5] == '0' and redis.call('ZSCORE', KEYS[3], ARGV[4]) then return {'taken'} end
local is_new = redis.call('ZADD', KEYS[3], whole(now + lease), ARGV[4]) == 1
local count = redis.call('ZCARD', KEYS[3])
-- No entry has the number zero: the others, whose shares it makes smaller, hear of it and need not ask.
if is_new then redis.call('PUBLISH', ARGV[7], head[3] .. struct.pack('<I8I8', 0, count)) end
-- All keys at one instant, so that no part is left of what has expired.
local expires = math.max(tonumber(head[9]), now / 1000 + 1.25 * tonumber(ARGV[8]))
redis.call('HSET', KEYS[1], 'now', whole(now), 'expires', whole(expires))
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, whole(expires)) end

local tail, image_at = tonumber(head[4]), tonumber(head[6])
local base = tail - redis.call('LLEN', KEYS[2])
local reply = {'in', head[3], now, tail, image_at, base, count, head[7], head[8]}
if tail > image_at then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[2], image_at - tail, -1)) do reply[#reply + 1] = entry end
end
return reply
