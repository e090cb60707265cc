-- Makes a set or finds it, and makes its caller a member.
-- KEYS: head, image, journal, members, batches
-- ARGV: layout version, limits, a new incarnation, member, whether it was that before, lease in microseconds,
--       the incarnation it has seen and the number of the entry seen last (empty and 0: none),
--       an image to make the set with (empty: none yet), the image's instant, the members in it...
local head = redis.call('HMGET', KEYS[1], 'version', 'limits', 'incarnation', 'tail', 'now', 'image_at')
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease = tonumber(ARGV[6])

local function whole(n) return string.format('%.0f', n) end

-- A failover has lost the end: who has seen that knows more than what is here.
if not head[1] or head[3] == ARGV[7] and tonumber(head[4]) < tonumber(ARGV[8]) then
  if ARGV[9] == '' then return {'none', now} end
  now = math.max(now, tonumber(ARGV[10]), tonumber(head[5] or 0))
  redis.call('DEL', unpack(KEYS))
  redis.call('SET', KEYS[2], ARGV[9])
  for i = 11, #ARGV do redis.call('ZADD', KEYS[4], whole(now + lease), ARGV[i]) end
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'limits', ARGV[2], 'incarnation', ARGV[3], 'tail', 0,
    'now', whole(now), 'image_at', 0)
  head = {ARGV[1], ARGV[2], ARGV[3], 0, now, 0}
end
if head[1] ~= ARGV[1] then return {'version', head[1]} end
if head[2] ~= ARGV[2] then return {'limits', head[2]} end

if ARGV[5] == '0' and redis.call('ZSCORE', KEYS[4], ARGV[4]) then return {'taken'} end
now = math.max(now, tonumber(head[5]))
redis.call('ZADD', KEYS[4], whole(now + lease), ARGV[4])
redis.call('HSET', KEYS[1], 'now', whole(now))

local tail, image_at = tonumber(head[4]), tonumber(head[6])
local reply = {'in', head[3], now, tail, image_at, redis.call('ZCARD', KEYS[4]), redis.call('GET', KEYS[2])}
if tail > image_at then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[3], image_at - tail, -1)) do reply[#reply + 1] = entry end
end
return reply
