-- Puts a batch of operations into a set's journal, once, and tells its sender what it has not seen.
-- KEYS: head, journal, members
-- ARGV: incarnation, member, batch, the number of the entry seen last, its first 24 bytes, lease in microseconds (0: it
--       leaves), the operations (empty: none), channel, for how many milliseconds to keep what nobody uses
local head = redis.call('HMGET', KEYS[1], 'incarnation', 'tail', 'now', 'image_at', 'expires')
if head[1] ~= ARGV[1] then return {'gone'} end
local me, batch, seen, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local tail, image_at = tonumber(head[2]), tonumber(head[4])
local base = tail - redis.call('LLEN', KEYS[2])
-- A failover can have lost the end of what its sender has seen.
if seen > tail then return {'diverged'} end
if seen > base and string.sub(redis.call('LINDEX', KEYS[2], seen - tail - 1), 1, 24) ~= ARGV[5] then
  return {'diverged'}
end
-- The journal was taken away. Whoever has seen all of it is called, and makes an image.
local torn = image_at < base
if torn and seen < base then
  redis.call('PUBLISH', ARGV[8], '')
  return {'torn'}
end
local time = redis.call('TIME')
local now = math.max(time[1] * 1000000 + time[2], tonumber(head[3]))

local function whole(n) return string.format('%.0f', n) end

-- All keys expire at one instant. It is put off by a quarter more than has to be, so that it seldom is.
local expires, keep = tonumber(head[5]), tonumber(ARGV[9])
local put_off = now / 1000 + keep > expires
if put_off then expires = now / 1000 + 1.25 * keep end
-- First, since a store without memory refuses this and not what comes next: so it refuses all.
redis.call('HSET', KEYS[1], 'now', whole(now))

local function add(member, number, operations)
  tail = tail + 1
  local entry = struct.pack('<I8I8I8', now, member, number) .. operations
  redis.call('RPUSH', KEYS[2], entry)
  redis.call('PUBLISH', ARGV[8], ARGV[1] .. struct.pack('<I8', tail) .. entry)
end

-- Whose lease has ended is gone: operation 7 clears what they held and waited for.
local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', whole(now))
if #ended > 0 then
  local clear = {}
  for i, member in ipairs(ended) do
    clear[i] = struct.pack('<I8I8', 7, tonumber(member))
    redis.call('ZREM', KEYS[3], member)
    redis.call('HDEL', KEYS[1], member)
  end
  add(0, 0, table.concat(clear))
end

local present = redis.call('ZSCORE', KEYS[3], me)
-- The members were taken away: all who may hold something have their leases again.
if not present and lease > 0 and redis.call('EXISTS', KEYS[3]) == 0 then
  for _, member in ipairs(redis.call('HKEYS', KEYS[1])) do
    if tonumber(member) then redis.call('ZADD', KEYS[3], whole(now + lease), member) end
  end
  put_off = true
  present = redis.call('ZSCORE', KEYS[3], me)
end
if present then
  if ARGV[7] ~= '' and (tonumber(redis.call('HGET', KEYS[1], me) or 0) or 0) < batch then
    add(tonumber(me), batch, ARGV[7])
    redis.call('HSET', KEYS[1], me, ARGV[3])
  end
  if lease > 0 then
    redis.call('ZADD', KEYS[3], whole(now + lease), me)
  else
    redis.call('ZREM', KEYS[3], me)
    redis.call('HDEL', KEYS[1], me)
  end
end
-- An image is known by the entry that it ends with.
if torn and tail == base then add(0, 0, '') end
redis.call('HSET', KEYS[1], 'tail', whole(tail))
-- A journal begins to exist with its first entry.
if put_off or (tail > base and base == tonumber(head[2])) then
  redis.call('HSET', KEYS[1], 'expires', whole(expires))
  for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, whole(expires)) end
end
if not present then return {'lost'} end

local reply = {'done', now, tail, image_at, base, redis.call('ZCARD', KEYS[3]), '', ''}
if seen < base then
  local image = redis.call('HMGET', KEYS[1], 'image', 'mark')
  reply[7], reply[8] = image[1], image[2]
  seen = image_at
end
if tail > seen then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[2], seen - tail, -1)) do reply[#reply + 1] = entry end
end
return reply
