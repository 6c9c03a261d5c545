import { Script } from './script.js';

/**
 * Redis drops what is over so much later: it is the store's clock that judges, and a clock that stands still in a test, or
 * that is a little behind, must not find its session gone.
 */
export const SLACK_MS = 1_000;

/*
 * What changes a session is one script: it checks, writes and sets the time to live in one step, so that there is never a
 * part of a hash, and never one that is created again.
 *
 * All scripts begin with ARGV[1] now, [2] the newest format that this release understands, [3] the name with which all
 * users' indexes begin, [4] the session's key as it stands in an index. In a cluster the indexes lie elsewhere and [3] is
 * empty. Times are those of the meta field (session-hash.ts), but for times to live, which are milliseconds: they count
 * from now, and so the clocks of this machine and of the server need not agree. Optional texts are '' or '=' and the text.
 *
 * A script that needs a living session answers 0 where there is none, and the meta field where the format is newer.
 */
const PRELUDE = `
local now, format, indexes, member = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- A time in milliseconds; in two halves, for servers of 32 bits read no more at once.
local function ms(time)
  return tonumber(string.sub(time, 1, 4), 36) * 60466176 + tonumber(string.sub(time, 5), 36)
end

local function whole(number) return string.format('%.0f', number) end

-- The session under a key, whatever its state; nil when there is none.
local function read(key)
  local found = redis.call('HMGET', key, 'm', 'p', 'u')
  local written, rest = string.match(found[1] or '', '^(%d+)%.(.+)$')
  if not written or #rest < 58 or #rest > 59 or not string.find(rest, '^%w+$', 23) then return nil end
  local handle = string.sub(rest, 1, 1) == '.' and redis.call('HGET', key, 'h')
  return {
    handle = handle, meta = found[1], format = written, head = string.sub(rest, 1, 31), seen = string.sub(rest, 32, 40),
    expires = string.sub(rest, 41, 49), absolute = string.sub(rest, 50, 58), gone = string.sub(rest, 59),
    policy = found[2] or '', user = found[3]
  }
end

local function over(session) return ms(session.expires) <= ms(now) end

-- Whether the index of its user names a session, as it does all that live. A server that evicts may have dropped the
-- index: whoever ended the user's sessions then did not find this one, so that it must not live on.
local function named(session, as)
  if indexes == '' or not session.user then return true end
  return redis.call('ZSCORE', indexes .. redis.sha1hex(session.user), as)
end

-- The living session under a key; or nil, and what to answer.
local function living(key)
  local session = read(key)
  if not session or session.gone ~= '' or over(session) then return nil, 0 end
  if tonumber(session.format) > format then return nil, session.meta end
  if not named(session, member) then
    redis.call('DEL', key)
    return nil, 0
  end
  return session
end

local function write(key, session)
  redis.call('HSET', key, 'm',
    session.format .. '.' .. session.head .. session.seen .. session.expires .. session.absolute .. session.gone)
end

-- Lua hands over some thousand arguments at once, and no more.
local function many(command, key, list, first, last)
  for from = first, last, 1000 do
    redis.call(command, key, unpack(list, from, math.min(from + 999, last)))
  end
end

-- Notes a deadline in a user's index, where those that are over leave; it goes itself with the last of them.
local function note(index, as, time)
  redis.call('ZADD', index, whole(ms(time)), as)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', whole(ms(now)))
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last then redis.call('PEXPIRE', index, whole(tonumber(last) - ms(now) + ${SLACK_MS})) end
end

local function track(session, as)
  if indexes ~= '' and session.user then note(indexes .. redis.sha1hex(session.user), as, session.expires) end
end

local function forget(session, as)
  if indexes ~= '' and session.user then redis.call('ZREM', indexes .. redis.sha1hex(session.user), as) end
end

-- Puts a tombstone in the place of a session, with its successor if it has one; nothing when there is no time for one.
local function bury(key, session, gone, till, ttl, successor)
  redis.call('DEL', key)
  if till == '' or ms(till) <= ms(now) then return end
  write(key, {
    format = session.format, head = session.head, seen = session.seen, expires = till,
    absolute = session.absolute, gone = gone
  })
  if session.policy ~= '' then redis.call('HSET', key, 'p', session.policy) end
  if session.handle then redis.call('HSET', key, 'h', session.handle) end
  if successor then redis.call('HSET', key, 's', successor) end
  redis.call('PEXPIRE', key, ttl)
end

-- A change begins at ARGV[first] and ends with the last: seen, expires, time to live, based on, policy, cleared, user,
-- absolute, most bytes of all values, number of names removed, those, names and texts set.

-- How many bytes names and texts would take after a change that sets some, if that is too much; else nil.
local function excess(key, first)
  local max, set = tonumber(ARGV[first + 8]), first + 10 + tonumber(ARGV[first + 9])
  if not max or set > #ARGV then return nil end
  local changed, size = {}, 0
  for i = first + 10, set - 1 do changed[ARGV[i]] = true end
  for i = set, #ARGV, 2 do
    changed[ARGV[i]] = true
    size = size + #ARGV[i] - 1 + #ARGV[i + 1]
  end
  if ARGV[first + 5] ~= '1' then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if string.sub(field, 1, 1) == ':' and not changed[field] then
        size = size + #field - 1 + redis.call('HSTRLEN', key, field)
      end
    end
  end
  if size > max then return { 'large', size } end
end

-- core/record.ts, applyChange.
local function apply(key, session, first)
  local seen, expires, ttl, based, policy, cleared, user, absolute, _, removed = unpack(ARGV, first, first + 9)
  if cleared == '1' then
    local values = {}
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if string.sub(field, 1, 1) == ':' then values[#values + 1] = field end
    end
    many('HDEL', key, values, 1, #values)
  end
  local set = first + 10 + tonumber(removed)
  many('HDEL', key, ARGV, first + 10, set - 1)
  many('HSET', key, ARGV, set, #ARGV)
  if ms(seen) > ms(session.seen) then session.seen = seen end
  if policy ~= '' or based == session.policy then
    session.expires = expires
    if not over(session) then redis.call('PEXPIRE', key, ttl) end
  end
  if policy ~= '' then
    session.policy = string.sub(policy, 2)
    if session.policy == '' then redis.call('HDEL', key, 'p') else redis.call('HSET', key, 'p', session.policy) end
  end
  if user ~= '' then
    session.user = string.sub(user, 2)
    session.absolute = absolute
    redis.call('HSET', key, 'u', session.user)
  end
  write(key, session)
end

-- After a change: a session whose deadline has come goes at once.
local function settle(key, session, as)
  if not over(session) then return track(session, as) end
  redis.call('DEL', key)
  forget(session, as)
end
`;

const script = (body: string) => new Script(PRELUDE + body);

/** ARGV[5] deadline, [6] time to live, [7] user; then fields and values. Answers 1, or 0: the key is taken. */
export const CREATE = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local session = { expires = ARGV[5], user = ARGV[7] ~= '' and string.sub(ARGV[7], 2) }
if over(session) then return 1 end
many('HSET', KEYS[1], ARGV, 8, #ARGV)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
track(session, member)
return 1
`);

/** From ARGV[5] on a change. Answers 1; 'large' and a number of bytes where that is too much. */
export const SAVE = script(`
local session, answer = living(KEYS[1])
if not session then return answer end
local large = excess(KEYS[1], 5)
if large then return large end
apply(KEYS[1], session, 5)
settle(KEYS[1], session, member)
return 1
`);

/** ARGV[5] last seen, [6] deadline, [7] time to live, [8] the policy that it is based on. Answers 1. */
export const TOUCH = script(`
local session, answer = living(KEYS[1])
if not session then return answer end
if ARGV[8] ~= session.policy then return 1 end
if ms(ARGV[5]) > ms(session.seen) then session.seen = ARGV[5] end
session.expires = ARGV[6]
write(KEYS[1], session)
if not over(session) then redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
settle(KEYS[1], session, member)
return 1
`);

/**
 * ARGV[5] the value's field, [6] whether there was one, [7] its text, [8] whether there shall be one, [9] its text.
 * Answers 1; or a list with the text that is there instead, empty when there is none.
 */
export const SWAP = script(`
local session, answer = living(KEYS[1])
if not session then return answer end
local stored = redis.call('HGET', KEYS[1], ARGV[5])
if (stored and '1' or '0') ~= ARGV[6] or (stored and stored ~= ARGV[7]) then return { stored or nil } end
if ARGV[8] == '1' then redis.call('HSET', KEYS[1], ARGV[5], ARGV[9]) else redis.call('HDEL', KEYS[1], ARGV[5]) end
return 1
`);

/**
 * ARGV[5] end of the tombstone, [6] its time to live, [7] '1' ends a session in the middle of a rename too, [8] the handle of
 * a session that is to be spared, or ''. Answers a list: the session's user, '=' before it, the key to which it
 * was being renamed (each may be ''), and its meta field; 2 where it is spared.
 */
export const DELETE = script(`
local session, answer = living(KEYS[1])
local newKey = ''
if not session and ARGV[7] == '1' then
  session = read(KEYS[1])
  if not session or session.gone ~= 'm' or over(session) then return answer end
  newKey = string.sub(redis.call('HGET', KEYS[1], 'n'), 10)
end
if not session then return answer end
if ARGV[8] ~= '' and (session.handle or string.sub(session.head, 1, 22)) == ARGV[8] then return 2 end
bury(KEYS[1], session, 'e', ARGV[5], ARGV[6])
forget(session, member)
return { session.user and '=' .. session.user or '', newKey, session.meta }
`);

/**
 * KEYS[2] the new key; ARGV[5] the same as it stands in an index, [6] end of the tombstone, [7] its time to live, [8] its
 * successor, then a change. Answers 1, or 2: the new key is taken; 'large' and a number of bytes where that is too much.
 */
export const RENAME = script(`
local session, answer = living(KEYS[1])
if not session then return answer end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local large = excess(KEYS[1], 9)
if large then return large end
redis.call('RENAME', KEYS[1], KEYS[2])
bury(KEYS[1], session, 'r', ARGV[6], ARGV[7], ARGV[8])
forget(session, member)
apply(KEYS[2], session, 9)
settle(KEYS[2], session, ARGV[5])
return 1
`);

// For a cluster, where the new key lies in another slot: cluster-rename.ts tells the story.

/** ARGV[5] the mark: when the rename is given up, and the new key. Answers all fields as they were before. */
export const MARK = script(`
local session, answer = living(KEYS[1])
if not session then return answer end
local fields = redis.call('HGETALL', KEYS[1])
session.gone = 'm'
write(KEYS[1], session)
redis.call('HSET', KEYS[1], 'n', ARGV[5])
return fields
`);

const MARKED = `
local session = read(KEYS[1])
if not session or session.gone ~= 'm' then return 0 end
if string.sub(redis.call('HGET', KEYS[1], 'n'), 10) ~= ARGV[5] then return 0 end
`;

/** ARGV[5] the new key, [6] end of the tombstone, [7] its time to live, [8] its successor. Answers 1, or 0: the mark is not there. */
export const FINISH = script(`${MARKED}
bury(KEYS[1], session, 'r', ARGV[6], ARGV[7], ARGV[8])
return 1
`);

/** ARGV[5] the new key. Answers 1, or 0: the mark is not there. */
export const REVIVE = script(`${MARKED}
session.gone = ''
write(KEYS[1], session)
redis.call('HDEL', KEYS[1], 'n')
return 1
`);

/** Sees that the copy under a new key never comes to life. ARGV[5] meta field of a tombstone, [6] its time to live. */
export const BLOCK = script(`
local session = read(KEYS[1])
local handle = string.sub(string.match(ARGV[5], '^%d+%.(.+)$'), 1, 22)
if session and string.sub(session.head, 1, 22) ~= handle then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'm', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
`);

/** KEYS[1] an index; ARGV[5] the deadline under which the session is noted there. */
export const TRACK = script(`
note(KEYS[1], member, ARGV[5])
return 1
`);

/**
 * Reads a session on a server that evicts: that of a user is there as long as their index names it. Reading keeps the index
 * as warm as the session. It goes without the prelude, for it is the most frequent of all.
 * ARGV[1] the name with which all users' indexes begin, [2] the key as it stands there, [3] the newest format.
 */
export const READ = new Script(`
local fields = redis.call('HGETALL', KEYS[1])
local user, format
for i = 1, #fields, 2 do
  if fields[i] == 'u' then user = fields[i + 1] elseif fields[i] == 'm' then format = string.match(fields[i + 1], '^%d+') end
  if user and format then break end
end
if not user or tonumber(format or 0) > tonumber(ARGV[3]) then return fields end
if redis.call('ZSCORE', ARGV[1] .. redis.sha1hex(user), ARGV[2]) then return fields end
return {}
`);

/** Puts a session in the place of a hash that can't be read. ARGV[5] its meta field as it was, [6] time to live; then fields. */
export const MEND = script(`
if (redis.call('HGET', KEYS[1], 'm') or '') ~= ARGV[5] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('DEL', KEYS[1])
many('HSET', KEYS[1], ARGV, 7, #ARGV)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
`);

/** Begins with a key that no session has, and leaves nothing behind. Answers what was refused: the command, and the error. */
const TRIAL = `
local refused = {}
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return true end
  refused[#refused + 1] = command
  refused[#refused + 1] = reply.err
end
if not try('DEL', KEYS[1]) then return refused end
`;

/** All that is done with a session. KEYS[2] the key after a rename, where there is one. */
export const TRY_SESSION = new Script(`${TRIAL}
try('EXISTS', KEYS[1])
try('HGET', KEYS[1], 'm')
try('HMGET', KEYS[1], 'm', 'u')
try('HGETALL', KEYS[1])
try('HKEYS', KEYS[1])
try('HSTRLEN', KEYS[1], 'm')
if try('HSET', KEYS[1], 'm', '', 'u', '') then
  try('HDEL', KEYS[1], 'u')
  try('PEXPIRE', KEYS[1], 1000)
  if KEYS[2] and try('RENAME', KEYS[1], KEYS[2]) then try('DEL', KEYS[2]) end
end
redis.pcall('DEL', KEYS[1])
return refused
`);

/** All that is done with the index of a user. */
export const TRY_INDEX = new Script(`${TRIAL}
try('ZADD', KEYS[1], 1, 'a', 2, 'b')
try('ZSCORE', KEYS[1], 'a')
try('ZRANGE', KEYS[1], -1, -1)
try('ZRANGEBYSCORE', KEYS[1], 1, 1)
try('ZREM', KEYS[1], 'a')
try('ZREMRANGEBYSCORE', KEYS[1], 1, 1)
redis.pcall('DEL', KEYS[1])
return refused
`);
