-- One decision over several keys and all their windows: every one has room, or nothing is counted.
-- Twin of ledger.py, log.py and slices.py; one suite holds both to an oracle.
--
-- KEYS: what is kept, in the order of ARGV; then who was refused last, the statistics of this minute,
--   and the rules' stamp.
-- ARGV: 1 to count or 0 to look; the number of asks; for each: its name in the statistics ('' for
--   none), its cost, 1 if it is a shadow, and the number of its meters; for each of these: the width
--   of a slice (0: an exact log) and the number of its windows; for each: its limit and milliseconds.
--   Then what other decisions add to the statistics: key, field, number; and so on.
-- Answer, with blanks between: 1 if allowed, the time, the stamp or -; for each ask its wait, and for
--   each of its windows the hits and when more is free. Times are milliseconds.
--
-- An exact log is six bytes for the base and four for each hit, its distance from the base, the
-- newest last. Slices are six bytes for the start of the newest and four for each, the newest last.

local unpack, pack, sub, rep, floor = struct.unpack, struct.pack, string.sub, string.rep, math.floor
local SLICES = 64
local MAX_DISTANCE = 4000000000 -- of 2^32, which is 49 days; no window is longer than 31
local STATISTICS_SECONDS = 172800
local MOST_REFUSED = 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)

local cursor = 0
local function argument()
  cursor = cursor + 1
  return ARGV[cursor]
end
local function number()
  cursor = cursor + 1
  return tonumber(ARGV[cursor])
end

-- Where the clock went back, everything moves back with it: no time has passed since the newest hit.
local function open_log(meter, kept)
  if not kept then
    meter.kept, meter.length, meter.base = '', 0, now
    return
  end
  local base = unpack('>I6', kept)
  local ahead = base + unpack('>I4', kept, #kept - 3) - now
  if ahead > 0 then
    base = base - ahead
    meter.moved = true
  end
  meter.kept, meter.length, meter.base, meter.most = kept, (#kept - 6) / 4, base, 0
end

local function open_slices(meter, kept)
  if not kept then
    meter.start, meter.counts = now, rep('\0', 4 * SLICES)
    return
  end
  local start, counts, width = unpack('>I6', kept), sub(kept, 7), meter.width
  if now < start then
    start = now
    meter.moved = true
  else
    local steps = floor((now - start) / width)
    if steps >= SLICES then
      start, counts = now, rep('\0', 4 * SLICES)
    elseif steps > 0 then
      start, counts = start + steps * width, sub(counts, steps * 4 + 1) .. rep('\0', 4 * steps)
    end
  end
  meter.start, meter.counts = start, counts
end

-- Both: hits that count, the wait (0: room enough), when the oldest leaves (0: there is none).
local function look_at_log(meter, limit, span, cost)
  local kept, length, cut = meter.kept, meter.length, now - meter.base - span
  local low, high = 0, length
  while low < high do -- how many of the newest are in the window
    local middle = floor((low + high + 1) / 2)
    if unpack('>I4', kept, (length - middle) * 4 + 7) > cut then low = middle else high = middle - 1 end
  end
  local wait, oldest = 0, 0
  if low > 0 then oldest = unpack('>I4', kept, (length - low) * 4 + 7) - cut end
  if cost > limit then
    wait = span
  elseif low + cost > limit then -- so many may stay; the newest of the others has to leave
    wait = unpack('>I4', kept, (length - (limit - cost) - 1) * 4 + 7) - cut
  end
  return low, wait, oldest
end

local function look_at_slices(meter, limit, span, cost)
  local counts = {unpack('>' .. rep('I4', SLICES), meter.counts)}
  local used, oldest, wait = 0, 0, 0
  for i = 1, SLICES do
    if oldest == 0 and counts[i] > 0 then oldest = meter.start + i * meter.width - now end
    used = used + counts[i]
  end
  if cost > limit then
    wait = span
  elseif used + cost > limit then
    local left, i = 0, 0
    while left < used + cost - limit do
      i = i + 1
      left = left + counts[i]
    end
    wait = meter.start + i * meter.width - now
  end
  return used, wait, oldest
end

local function save_log(meter, cost)
  local base, most = meter.base, meter.most or 0
  local body = sub(meter.kept, #meter.kept - most * 4 + 1)
  if cost == 0 then
    body = sub(meter.kept, 7)
  elseif most == 0 then
    base, body = now, ''
  elseif now - base > MAX_DISTANCE then
    local first, moved = unpack('>I4', body), {}
    for i = 1, #body, 4 do moved[#moved + 1] = pack('>I4', unpack('>I4', body, i) - first) end
    base, body = base + first, table.concat(moved)
  end
  local added = cost > 0 and rep(pack('>I4', now - base), cost) or ''
  redis.call('SET', meter.key, pack('>I6', base) .. body .. added, 'PX', meter.span)
end

local function save_slices(meter, cost)
  local last = unpack('>I4', meter.counts, 4 * SLICES - 3)
  local counts = sub(meter.counts, 1, 4 * SLICES - 4) .. pack('>I4', last + cost)
  redis.call('SET', meter.key, pack('>I6', meter.start) .. counts, 'PX', SLICES * meter.width)
end

local hit = argument() == '1'
local asks, allowed, key = {}, 1, 0
for a = 1, number() do
  local ask = {tally = argument(), cost = number(), shadow = argument() == '1', wait = 0, meters = {}}
  for m = 1, number() do
    key = key + 1
    local meter = {key = KEYS[key], width = number(), span = 0, uses = {}}
    local sliced = meter.width > 0
    local open, look = sliced and open_slices or open_log, sliced and look_at_slices or look_at_log
    local kept = redis.call('GET', meter.key)
    open(meter, kept)
    for w = 1, number() do
      local limit, span = number(), number()
      local used, wait, oldest = look(meter, limit, span, ask.cost)
      meter.uses[w] = {used, wait, oldest, span}
      if wait > ask.wait then ask.wait = wait end
      if span > meter.span then meter.span = span end
      if not sliced and used > (meter.most or 0) then meter.most = used end
    end
    ask.meters[m] = meter
  end
  if ask.wait > 0 and not ask.shadow then allowed = 0 end
  asks[a] = ask
end

local function count(statistics, field, n)
  if redis.call('HINCRBY', statistics, field, n) == n then
    redis.call('EXPIRE', statistics, STATISTICS_SECONDS)
  end
end

-- By when there is room again; of many, those that wait the longest.
local function list_refused(name, wait)
  local refused = KEYS[#KEYS - 2]
  redis.call('ZADD', refused, now + wait, name)
  redis.call('ZREMRANGEBYSCORE', refused, '-inf', now)
  redis.call('ZREMRANGEBYRANK', refused, 0, -MOST_REFUSED - 1)
  if redis.call('PTTL', refused) < wait then redis.call('PEXPIRE', refused, wait) end
end

local out = {allowed, now, redis.call('GET', KEYS[#KEYS]) or '-'}
for _, ask in ipairs(asks) do
  local recorded = hit and allowed == 1 and ask.wait == 0
  out[#out + 1] = ask.wait
  for _, meter in ipairs(ask.meters) do
    local sliced = meter.width > 0
    for _, use in ipairs(meter.uses) do
      local used, wait, oldest, span = use[1], use[2], use[3], use[4]
      if recorded then
        if oldest == 0 then oldest = sliced and meter.start + SLICES * meter.width - now or span end
        out[#out + 1] = used + ask.cost
        out[#out + 1] = oldest
      else
        out[#out + 1] = used
        out[#out + 1] = wait > 0 and wait or oldest
      end
    end
    -- Moved hits are written even when refused: else time would stand still until the clock has
    -- caught up.
    if recorded or (hit and meter.moved) then
      local save = sliced and save_slices or save_log
      save(meter, recorded and ask.cost or 0)
    end
  end
  if hit and ask.tally ~= '' then
    if ask.wait > 0 then
      count(KEYS[#KEYS - 1], ask.tally .. (ask.shadow and ':shadow' or ':refused'), 1)
      if not ask.shadow then list_refused(ask.meters[1].key, ask.wait) end
    elseif allowed == 1 and not ask.shadow then
      count(KEYS[#KEYS - 1], ask.tally .. ':allowed', 1)
    end
  end
end
while cursor < #ARGV do count(argument(), argument(), number()) end
return table.concat(out, ' ')
