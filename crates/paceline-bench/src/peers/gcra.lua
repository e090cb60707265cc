-- The generic cell rate algorithm on one key, by the store's clock: what users of redis-cell's CL.THROTTLE run where that
-- module is not to be had. KEYS[1] the limit; ARGV: burst, units, period in seconds, asked.
-- Returns as CL.THROTTLE does: limited, limit, remaining, seconds to try again in, seconds until nothing is used.
local burst, units, period, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = period * 1000000 / units
local tolerance = interval * burst

local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = arrival + interval * asked
local room = now - (after - tolerance)
if room < 0 then
  local used = arrival - now
  return { 1, burst, math.floor((tolerance - used) / interval), math.ceil(-room / 1000000), math.ceil(used / 1000000) }
end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.max(1, math.ceil((after - now) / 1000)))
return { 0, burst, math.floor(room / interval), -1, math.ceil((after - now) / 1000000) }
