-- One decision over several keys and all their windows: every one has room, or nothing is counted.
-- Twin of ledger.py, log.py and slices.py; one suite holds both to an oracle.
--
-- KEYS: what is kept, ask by ask; then the statistics of this minute, and the rules' stamp.
-- ARGV: 1 to count or 0 to look; the number of asks; each ask, packed: its cost, 1 if it is a shadow,
--   the number of its meters, its name in the statistics (may be empty); for each meter the width of
--   a slice (0: an exact log) and the number of its windows; for each its limit and milliseconds.
--   Then what other decisions add to the statistics: key, field, number; and so on.
-- Answer, packed: 1 if allowed, the time; for each ask its wait, and for each of its windows the hits
--   and when more is free; the stamp, if there is one. Times are milliseconds.
--
-- An exact log is six bytes for the base and four for each hit, its distance from the base, the
-- newest last. Slices are six bytes for the start of the newest and four for each, the newest last.
-- Written flat and with few tables: each microsecond here is one of Redis, for everybody.

local call, read, write, sub, rep = redis.call, struct.unpack, struct.pack, string.sub, string.rep
local floor, spread = math.floor, unpack
local SLICES = 64
local MAX_DISTANCE = 4000000000 -- of 2^32, which is 49 days; no window is longer than 31
local STATISTICS_SECONDS = 172800
local REFUSED, MOST_REFUSED = 'docmill:limits:refused', 1000 -- no key of the call, for it is rare

local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)

-- Where the clock went back, everything moves back with it: no time has passed since the newest hit.
local function open_log(meter, kept)
  local base = read('>I6', kept)
  local ahead = base + read('>I4', kept, #kept - 3) - now
  if ahead > 0 then
    base = base - ahead
    meter.moved = true
  end
  meter.kept, meter.length, meter.base = kept, (#kept - 6) / 4, base
end

local function open_slices(meter, kept)
  local start, counts, width = read('>I6', kept), sub(kept, 7), meter.width
  local steps = floor((now - start) / width)
  if now < start then
    start = now
    meter.moved = true
  elseif steps >= SLICES then
    start, counts = now, rep('\0', 4 * SLICES)
  elseif steps > 0 then
    start, counts = start + steps * width, sub(counts, steps * 4 + 1) .. rep('\0', 4 * steps)
  end
  meter.start, meter.kept = start, counts
end

-- Both: hits that count, the wait (0: room enough), when the oldest leaves (0: there is none).
local function look_at_log(meter, limit, span, cost)
  local kept, length = meter.kept, meter.length
  if length == 0 then return 0, cost > limit and span or 0, 0 end
  local cut = now - meter.base - span
  local low, high = 0, length
  if read('>I4', kept, 7) > cut then low = length end
  while low < high do -- how many of the newest are in the window
    local middle = floor((low + high + 1) / 2)
    if read('>I4', kept, (length - middle) * 4 + 7) > cut then low = middle else high = middle - 1 end
  end
  local wait, oldest = 0, 0
  if low > 0 then oldest = read('>I4', kept, (length - low) * 4 + 7) - cut end
  if cost > limit then
    wait = span
  elseif low + cost > limit then -- so many may stay; the newest of the others has to leave
    wait = read('>I4', kept, (length - (limit - cost) - 1) * 4 + 7) - cut
  end
  return low, wait, oldest
end

local function look_at_slices(meter, limit, span, cost)
  local counts = {read('>' .. rep('I4', SLICES), meter.kept)}
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

-- Both: with `cost` more hits, or with 0 only what was moved.
local function save_log(meter, cost)
  local base, kept, most = meter.base, meter.kept, meter.most
  local body, added
  if cost == 0 then
    body, added = sub(kept, 7), ''
  elseif most == 0 then
    base, body, added = now, '', rep('\0\0\0\0', cost)
  else
    body = sub(kept, #kept - most * 4 + 1)
    if now - base > MAX_DISTANCE then
      local first, moved = read('>I4', body), {}
      for i = 1, #body, 4 do moved[#moved + 1] = write('>I4', read('>I4', body, i) - first) end
      base, body = base + first, table.concat(moved)
    end
    added = write('>I4', now - base)
    if cost > 1 then added = rep(added, cost) end
  end
  call('SET', meter.key, write('>I6', base) .. body .. added, 'PX', meter.span)
end

local function save_slices(meter, cost)
  local last = read('>I4', meter.kept, 4 * SLICES - 3)
  local counts = sub(meter.kept, 1, 4 * SLICES - 4) .. write('>I4', last + cost)
  call('SET', meter.key, write('>I6', meter.start) .. counts, 'PX', SLICES * meter.width)
end

local function count(statistics, field, number)
  if call('HINCRBY', statistics, field, number) == number then
    call('EXPIRE', statistics, STATISTICS_SECONDS)
  end
end

local values = call('MGET', spread(KEYS))
local hit, n = ARGV[1] == '1', tonumber(ARGV[2])
local asks, allowed, key = {}, 1, 0
-- What is answered for an ask that is counted, and for one that is not.
local counted, plain, size = {}, {}, 0
for a = 1, n do
  local cost, shadow, meters, tally, place = read('>I4BBs', ARGV[a + 2])
  local ask = {cost = cost, shadow = shadow == 1, tally = tally, wait = 0, first = size + 1}
  size = size + 1
  for m = 1, meters do
    local width, windows, limit, span
    key = key + 1
    width, windows, place = read('>I4B', ARGV[a + 2], place)
    local meter = {key = KEYS[key], width = width, span = 0, most = 0}
    local kept, alone = values[key], nil
    if width == 0 then
      if kept then open_log(meter, kept) else meter.length, meter.base, meter.kept = 0, now, '' end
    else
      if kept then open_slices(meter, kept) else meter.start, meter.kept = now, rep('\0', 4 * SLICES) end
      alone = meter.start + SLICES * width - now
    end
    for w = 1, windows do
      limit, span, place = read('>I4I4', ARGV[a + 2], place)
      local look = width == 0 and look_at_log or look_at_slices
      local used, wait, oldest = look(meter, limit, span, cost)
      if wait > ask.wait then ask.wait = wait end
      if span > meter.span then meter.span = span end
      if used > meter.most then meter.most = used end
      counted[size + 1], counted[size + 2] = used + cost, oldest > 0 and oldest or alone or span
      plain[size + 1], plain[size + 2] = used, wait > 0 and wait or oldest
      size = size + 2
    end
    ask[m] = meter
  end
  ask.last = size
  counted[ask.first] = ask.wait
  plain[ask.first] = ask.wait
  if ask.wait > 0 and not ask.shadow then allowed = 0 end
  asks[a] = ask
end

-- By when there is room again; of many, those that wait the longest.
local function list_refused(name, wait)
  call('ZADD', REFUSED, now + wait, name)
  call('ZREMRANGEBYSCORE', REFUSED, '-inf', now)
  call('ZREMRANGEBYRANK', REFUSED, 0, -MOST_REFUSED - 1)
  if call('PTTL', REFUSED) < wait then call('PEXPIRE', REFUSED, wait) end
end

for a = 1, n do
  local ask = asks[a]
  local recorded = hit and allowed == 1 and ask.wait == 0
  if not recorded then
    for i = ask.first, ask.last do counted[i] = plain[i] end
  end
  for m = 1, #ask do
    local meter = ask[m]
    -- Moved hits are written even when refused: else time would stand still until the clock has
    -- caught up.
    if recorded or (hit and meter.moved) then
      local save = meter.width == 0 and save_log or save_slices
      save(meter, recorded and ask.cost or 0)
    end
  end
  if hit and ask.tally ~= '' then
    if ask.wait > 0 then
      count(KEYS[key + 1], ask.tally .. (ask.shadow and ':shadow' or ':refused'), 1)
      if not ask.shadow then list_refused(ask[1].key, ask.wait) end
    elseif allowed == 1 and not ask.shadow then
      count(KEYS[key + 1], ask.tally .. ':allowed', 1)
    end
  end
end
for i = n + 3, #ARGV, 3 do count(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])) end
return write('>BI8' .. rep('I4', size), allowed, now, spread(counted)) .. (values[key + 2] or '')
