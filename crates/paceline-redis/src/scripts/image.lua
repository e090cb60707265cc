-- Stores a newer image and forgets the entries that it covers, but for some, for those who are a little behind.
-- KEYS: head, journal
-- ARGV: incarnation, the number of the last entry in the image, that entry's first 24 bytes, image, how many to keep
local head = redis.call('HMGET', KEYS[1], 'incarnation', 'tail', 'image_at')
if head[1] ~= ARGV[1] then return 0 end
local number, tail, image_at = tonumber(ARGV[2]), tonumber(head[2]), tonumber(head[3])
if number <= image_at or number > tail then return 0 end
local entry = redis.call('LINDEX', KEYS[2], number - tail - 1)
if not entry or string.sub(entry, 1, 24) ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'image', ARGV[4], 'image_at', ARGV[2], 'mark', ARGV[3])
redis.call('LTRIM', KEYS[2], number - tail - tonumber(ARGV[5]), -1)
return 1
