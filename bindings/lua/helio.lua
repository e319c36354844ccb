--- Chat completions from large language models, for LuaJIT. README.md shows how it is used.

local ffi = require("ffi")
ffi.cdef(require("helio_cdef"))

local ABI_VERSION = 1
local FOREVER = 0xFFFFFFFF
local ALL = ffi.cast("size_t", -1)
local DELIVERY_PULL = 1
local CHUNK, DONE = 2, 3
local OK, NOT_FOUND, SHUT_DOWN = 0, -43, -6

local NAMES = { OSX = "libhelio.dylib", Windows = "helio.dll" }
local lib = ffi.load(os.getenv("HELIO_LIBRARY") or NAMES[ffi.os] or "libhelio.so.1")
if lib.helio_abi_version() ~= ABI_VERSION then
  error("libhelio has interface " .. lib.helio_abi_version() .. "; this module is for " .. ABI_VERSION)
end

local helio = {}

local function text_at(address, length)
  if address ~= nil then return ffi.string(address, length) end
end

--- The text of a buffer, which is freed.
local function taken(buffer)
  if buffer == nil then return nil end
  local text = ffi.string(lib.helio_buffer_data(buffer), lib.helio_buffer_size(buffer))
  lib.helio_buffer_free(buffer)
  return text
end

-- Errors ------------------------------------------------------------------------------------------

--- What is raised: `status`, `status_name` ("HELIO_ERR_TIMEOUT"), `message`, `code`, `type`, `http_status`, `body`,
--- `retry_after_ms` (-1: another try makes no sense), `report` (JSON), `completion` (what had come of the answer).
local Error = {}
Error.__index = Error
Error.__tostring = function(self) return self.status_name .. ": " .. self.message end
helio.Error = Error

local function new_error(status, native, completion)
  local length = ffi.new("size_t[1]")
  local function told(get)
    return text_at(get(native, length), length[0])
  end
  local name = ffi.string(lib.helio_status_name(status))
  return setmetatable({
    status = status,
    status_name = name,
    message = told(lib.helio_error_message) or "the call failed with " .. name,
    code = told(lib.helio_error_code),
    type = told(lib.helio_error_type),
    body = told(lib.helio_error_body),
    report = told(lib.helio_error_report),
    http_status = lib.helio_error_http_status(native),
    retry_after_ms = tonumber(lib.helio_error_retry_after_ms(native)),
    completion = completion,
  }, Error)
end

--- Raises what a call that failed has given; its error is freed.
local function check(status, native)
  if status == OK then return end
  local raised = new_error(status, native)
  if native ~= nil then lib.helio_error_free(native) end
  error(raised, 0)
end

-- Clients -----------------------------------------------------------------------------------------

local Client, Stream = {}, {}
Client.__index, Stream.__index = Client, Stream
Client.__tostring = function(self) return self.native and "helio client" or "helio client, closed" end

--- A client. `config` is JSON; nil: the environment. Raises an error that names the key to change.
function helio.client(config)
  local options = ffi.new("helio_client_options")
  lib.helio_client_options_init(options, ffi.sizeof(options))
  options.config = config
  if config then options.config_len = #config end
  local native, failure = ffi.new("helio_client *[1]"), ffi.new("helio_error *[1]")
  check(lib.helio_client_create(options, native, failure), failure[0])
  local self = setmetatable({ streams = setmetatable({}, { __mode = "v" }), tasks = {}, life = {} }, Client)
  -- A client that was forgotten lets go by itself. Its streams may be collected behind it.
  local life = self.life
  self.native = ffi.gc(native[0], function(native)
    life.is_over = true
    lib.helio_client_release(native)
  end)
  return self
end

local function alive(self)
  if not self.native then error(new_error(SHUT_DOWN), 0) end
  return self.native
end

--- An id for a request that is still to come: client:stream(request, {id = id}).
function Client:reserve()
  local id = lib.helio_reserve(alive(self))
  if id == 0 then error(new_error(SHUT_DOWN), 0) end
  return id
end

--- Cancels the request with this id, also one that was not sent yet: it never is.
function Client:cancel(id)
  if self.native and not self.life.is_over then lib.helio_cancel(self.native, id) end
end

--- Begins a request; say "stream":true in it. Chunks come by `for chunk in client:stream(request) do`. `options`: `id` from
--- reserve, `overrides` (config for this request, JSON). Raises an error, also while it is iterated.
function Client:stream(request, options)
  local overrides, id = options and options.overrides, options and options.id or self:reserve()
  local native = ffi.new("helio_request_options")
  lib.helio_request_options_init(native, ffi.sizeof(native))
  native.delivery, native.id, native.overrides = DELIVERY_PULL, id, overrides
  if overrides then native.overrides_len = #overrides end
  local failure = ffi.new("helio_error *[1]")
  check(lib.helio_submit(alive(self), request, #request, native, nil, failure), failure[0])
  local stream = setmetatable({ client = self, id = id, told = {}, first = 1, last = 0 }, Stream)
  -- A stream that was forgotten is cancelled.
  stream.anchor = ffi.gc(ffi.new("char[1]"), function() self:cancel(id) end)
  self.streams[tonumber(id)] = stream
  return stream
end

--- The whole answer: a table with `text`, `reasoning`, `data` (JSON) and `report` (JSON).
function Client:complete(request, options)
  return self:stream(request, options):wait()
end

local function told_by(event)
  local told = {
    data = text_at(event.data, event.len),
    text = text_at(event.text, event.text_len) or "",
    reasoning = text_at(event.reasoning, event.reasoning_len) or "",
  }
  if event.kind == DONE then
    told.report = text_at(event.report, event.report_len)
    told = { is_end = true, completion = told.data and told }
    if event.status ~= OK then told.failure = new_error(event.status, event.error, told.completion) end
  end
  return told
end

--- Takes one event to its stream. nil: there was none in time; false: none will come any more.
local function receive(self, timeout_ms)
  local pointer = ffi.new("const helio_event *[1]")
  local status = lib.helio_next_event(self.native, timeout_ms, pointer)
  if status ~= OK then return false end
  local event = pointer[0]
  if event == nil then return nil end
  local stream = self.streams[tonumber(event.request)]
  if stream and event.kind >= CHUNK then
    stream.last = stream.last + 1
    stream.told[stream.last] = told_by(event)
  end
  if event.kind == DONE then self.streams[tonumber(event.request)] = nil end
  lib.helio_event_release(event)
  return true
end

--- Whether a task can go on: the stream that it waits for has something for it. true: it waits for none.
local function is_ready(stream) return stream == true or stream.first <= stream.last end

--- Hands out the events that are there, after a wait of at most so many milliseconds for the first (default: none), and lets the
--- tasks go on that waited for them. For a game: once per frame.
function Client:update(timeout_ms)
  if self.native and receive(self, timeout_ms or 0) then
    while self.native and receive(self, 0) do end
  end
  local ready = {} -- a task may start others
  for task, stream in pairs(self.tasks) do
    if is_ready(stream) then ready[#ready + 1] = task end
  end
  for _, task in ipairs(ready) do
    self.tasks[task] = true
    local went_on, waits_for = coroutine.resume(task)
    if not went_on then
      self.tasks[task] = nil
      error(waits_for, 0)
    end
    local waits = getmetatable(waits_for) == Stream and waits_for or true
    self.tasks[task] = coroutine.status(task) ~= "dead" and waits or nil
  end
end

--- Starts a task: a coroutine in which reading a stream lets the others go on. What it raises comes out of update or run.
function Client:go(work)
  self.tasks[coroutine.create(work)] = true
end

--- Updates until all tasks have ended.
function Client:run()
  while next(self.tasks) do
    local ready = false
    for _, stream in pairs(self.tasks) do
      ready = ready or is_ready(stream)
    end
    self:update(ready and 0 or FOREVER)
  end
end

--- Opens a connection ahead of the first request. Returns at once.
function Client:prewarm() check(lib.helio_client_prewarm(alive(self))) end

--- Uses another key for requests that start later; nil: none.
function Client:set_api_key(key) check(lib.helio_client_set_api_key(alive(self), key, key and #key or 0)) end

--- Figures of the client, JSON.
function Client:stats()
  local buffer = ffi.new("helio_buffer *[1]")
  check(lib.helio_client_stats(alive(self), buffer))
  return taken(buffer[0])
end

--- A descriptor that is readable while events wait, for loops that can watch one; then call update.
function Client:wait_handle() return tonumber(lib.helio_wait_handle(alive(self))) end

--- Ends all requests with HELIO_ERR_SHUT_DOWN. May be called twice.
function Client:close()
  local native = self.native
  if not native then return end
  lib.helio_client_shutdown(native)
  while receive(self, FOREVER) ~= false do end
  self.native = nil
  lib.helio_client_destroy(ffi.gc(native, nil), FOREVER)
end

-- Streams -----------------------------------------------------------------------------------------

local function next_told(self)
  while self.first > self.last do
    local client = self.client
    local task = coroutine.running()
    if task and client.tasks[task] then
      coroutine.yield(self)
    elseif not client.native or receive(client, FOREVER) == false then
      return { is_end = true, failure = new_error(SHUT_DOWN) }
    end
  end
  local told = self.told[self.first]
  self.told[self.first] = nil
  self.first = self.first + 1
  return told
end

--- The next chunk: `text`, `reasoning`, `data` (its JSON). nil: the stream has ended, and has its `completion`.
function Stream:next()
  if self.ended then return nil end
  local told = next_told(self)
  if not told.is_end then return told end
  self.ended, self.completion = true, told.completion
  if told.failure then error(told.failure, 0) end
end
Stream.__call = Stream.next

--- Reads to the end. The completion.
function Stream:wait()
  while self:next() do end
  return self.completion
end

--- Ends the request at once: reading raises HELIO_ERR_CANCELLED. What has ended stays.
function Stream:cancel() self.client:cancel(self.id) end

--- Cancels the request, unless it has ended: for who leaves a loop early.
function Stream:close()
  if not self.ended then self:cancel() end
end

-- Chats -------------------------------------------------------------------------------------------

local Chat = {}
Chat.__index = Chat

--- A conversation. Belongs to no client.
function helio.chat()
  local native = ffi.new("helio_chat *[1]")
  check(lib.helio_chat_create(native))
  return setmetatable({ native = ffi.gc(native[0], lib.helio_chat_free) }, Chat)
end

local function check_chat(self, status)
  if status ~= OK then error(new_error(status, lib.helio_chat_error(self.native)), 0) end
end

--- Adds a text of "system", "developer", "user" or "assistant".
function Chat:add(role, text) check_chat(self, lib.helio_chat_add(self.native, role, text, #text)) end

--- Adds a message of any kind, or a list of them, as JSON.
function Chat:add_json(message) check_chat(self, lib.helio_chat_add_json(self.native, message)) end

--- Adds the assistant's message of an answer (a completion, or its JSON) as servers want it back.
function Chat:add_reply(completion)
  check_chat(self, lib.helio_chat_add_reply(self.native, type(completion) == "table" and completion.data or completion))
end

--- Adds what a tool answered.
function Chat:add_tool_result(id, text) check_chat(self, lib.helio_chat_add_tool_result(self.native, id, text, #text)) end

--- Removes `count` messages (default: all behind it) from the place `first`, which counts from 0.
function Chat:remove(first, count) check_chat(self, lib.helio_chat_remove(self.native, first, count or ALL)) end

--- How many messages there are.
function Chat:count() return tonumber(lib.helio_chat_count(self.native)) end

--- The body of a request with these parameters (JSON, without "messages").
function Chat:request(parameters)
  local body = ffi.new("helio_buffer *[1]")
  check_chat(self, lib.helio_chat_request(self.native, parameters, body))
  return taken(body[0])
end

--- One value of a JSON text by its JSON Pointer (RFC 6901): a string comes out unescaped, anything else as it is written. nil: nothing
--- is there.
function helio.json_get(json, pointer)
  local value = ffi.new("helio_buffer *[1]")
  local status = lib.helio_json_get(json, #json, pointer, value)
  if status == NOT_FOUND then return nil end
  check(status)
  return taken(value[0])
end

--- The version of the library that is loaded.
function helio.version() return ffi.string(lib.helio_version_string()) end

return helio
