-- Puts a batch of operations into a set's journal, once, and tells its sender what it has not seen.
-- KEYS: head, image, journal, members, batches
-- ARGV: incarnation, member, batch, the number of the entry seen last, its first 24 bytes, lease in microseconds (0: it
--       leaves), the operations (empty: none), channel
local head = redis.call('HMGET', KEYS[1], 'incarnation', 'tail', 'now', 'image_at')
if head[1] ~= ARGV[1] then return {'gone'} end
local me, batch, seen, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local tail, image_at = tonumber(head[2]), tonumber(head[4])
local base = tail - redis.call('LLEN', KEYS[3])
-- A failover can have lost the end of what its sender has seen.
if seen > tail then return {'diverged'} end
if seen > base and string.sub(redis.call('LINDEX', KEYS[3], seen - tail - 1), 1, 24) ~= ARGV[5] then
  return {'diverged'}
end
local time = redis.call('TIME')
local now = math.max(time[1] * 1000000 + time[2], tonumber(head[3]))

local function whole(n) return string.format('%.0f', n) end

local function add(member, number, operations)
  tail = tail + 1
  local entry = struct.pack('<I8I8I8', now, member, number) .. operations
  redis.call('RPUSH', KEYS[3], entry)
  redis.call('PUBLISH', ARGV[8], ARGV[1] .. struct.pack('<I8', tail) .. entry)
end

-- Whose lease has ended is gone: operation 7 clears what they held and waited for.
local ended = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now))
if #ended > 0 then
  local clear = {}
  for i, member in ipairs(ended) do
    clear[i] = struct.pack('<I8I8', 7, tonumber(member))
    redis.call('ZREM', KEYS[4], member)
    redis.call('HDEL', KEYS[5], member)
  end
  add(0, 0, table.concat(clear))
end

local present = redis.call('ZSCORE', KEYS[4], me)
if present then
  if ARGV[7] ~= '' and (tonumber(redis.call('HGET', KEYS[5], me) or 0) or 0) < batch then
    add(tonumber(me), batch, ARGV[7])
    redis.call('HSET', KEYS[5], me, ARGV[3])
  end
  if lease > 0 then
    redis.call('ZADD', KEYS[4], whole(now + lease), me)
  else
    redis.call('ZREM', KEYS[4], me)
    redis.call('HDEL', KEYS[5], me)
  end
end
redis.call('HSET', KEYS[1], 'tail', whole(tail), 'now', whole(now))
if not present then return {'lost'} end

local reply = {'done', now, tail, image_at, redis.call('ZCARD', KEYS[4]), ''}
if seen < base then
  reply[6] = redis.call('GET', KEYS[2])
  seen = image_at
end
if tail > seen then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[3], seen - tail, -1)) do reply[#reply + 1] = entry end
end
return reply
