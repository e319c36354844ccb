-- Does what a line of bindings/scenarios.json tells it to.

local helio = require("helio")

local function quoted(text)
  if text == nil then return "null" end
  return '"' .. text:gsub('[%c"\\]', function(one) return ("\\u%04x"):format(one:byte()) end) .. '"'
end

local function list(texts)
  local all = {}
  for place, text in ipairs(texts) do all[place] = quoted(text) end
  return "[" .. table.concat(all, ",") .. "]"
end

local function said(told, client)
  local failure, fault = told.failure, "null"
  if failure then
    fault = ('{"message":%s,"code":%s,"type":%s,"http_status":%d,"retry_after_ms":%d,"body":%s,"report":%s}'):format(
      quoted(failure.message), quoted(failure.code), quoted(failure.type), failure.http_status, failure.retry_after_ms,
      quoted(failure.body), quoted(failure.report))
  end
  local completion = told.completion or failure and failure.completion
  return ('{"status":%s,"texts":%s,"data":%s,"error":%s,"shown":%s,"right":%d}'):format(
    quoted(told.status or failure and failure.status_name or "HELIO_OK"), list(told.texts or {}),
    quoted(completion and completion.data), fault, quoted(tostring(client) .. tostring(failure)), told.right or 0)
end

--- What `work` fills `told` with; what it raises is the failure.
local function outcome(work)
  local told = { texts = {} }
  local went, failure = pcall(work, told)
  if not went then
    if getmetatable(failure) ~= helio.Error then error(failure, 0) end
    told.failure = failure
  end
  return told
end

local function read(stream, told, at_first)
  for chunk in stream do
    if chunk.text ~= "" then
      table.insert(told.texts, chunk.text)
      if #told.texts == 1 and at_first then at_first(stream) end
    end
  end
  told.completion = stream.completion
end

--- Reads in one task; at the first text another one does something.
local function meanwhile(client, request, work)
  local told
  client:go(function()
    told = outcome(function(told)
      read(client:stream(request), told, function(stream) client:go(function() work(stream) end) end)
    end)
  end)
  client:run()
  return told
end

local actions = {}

function actions.create() return {} end

function actions.complete(client, request)
  return outcome(function(told) told.completion = client:complete(request) end)
end

function actions.stream(client, request)
  return outcome(function(told) read(client:stream(request), told) end)
end

function actions.cancel_before(client, request)
  return outcome(function(told)
    local id = client:reserve()
    client:cancel(id)
    read(client:stream(request, { id = id }), told)
  end)
end

function actions.cancel_during(client, request)
  return meanwhile(client, request, function(stream) stream:cancel() end)
end

function actions.cancel_after(client, request)
  return outcome(function(told)
    local stream = client:stream(request)
    read(stream, told)
    stream:cancel()
  end)
end

function actions.many(client, request, count)
  return outcome(function(told)
    told.right = 0
    for number = 0, count - 1 do
      client:go(function()
        local answer = client:complete((request:gsub("#N#", number)))
        if answer.text == "You said: " .. number then told.right = told.right + 1 end
      end)
    end
    client:run()
  end)
end

function actions.leave(client, request)
  return outcome(function(told)
    local stream = client:stream(request)
    for chunk in stream do
      told.texts[1] = chunk.text
      if chunk.text ~= "" then break end
    end
    stream:close()
    told.status = "LEFT"
  end)
end

function actions.drop(client, request)
  local told = outcome(function(told)
    local stream = client:stream(request)
    repeat told.texts[1] = stream:next().text until told.texts[1] ~= ""
    told.status = "LEFT"
  end)
  collectgarbage()
  collectgarbage()
  return told
end

function actions.close(client, request)
  return meanwhile(client, request, function() client:close() end)
end

function actions.tools(client, request)
  return outcome(function(told)
    local chat = helio.chat()
    chat:add_json(helio.json_get(request, "/messages"))
    local parameters = ('{"model":"m","tools":%s}'):format(helio.json_get(request, "/tools"))
    local reply = client:complete(chat:request(parameters))
    chat:add_reply(reply)
    chat:add_tool_result(helio.json_get(reply.data, "/choices/0/message/tool_calls/0/id"), "42")
    told.completion = client:complete(chat:request(parameters))
  end)
end

local open
for line in io.lines() do
  if open then open:close() end
  open = nil
  local action = helio.json_get(line, "/do")
  local client
  local told = outcome(function() client = helio.client(helio.json_get(line, "/config")) end)
  if client then
    told = actions[action](client, helio.json_get(line, "/request"), tonumber(helio.json_get(line, "/count")))
    if action == "leave" or action == "drop" then open = client else client:close() end
  end
  print(said(told, client))
  io.flush()
end
