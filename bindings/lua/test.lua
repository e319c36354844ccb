-- What the table of scenarios does not have, because it is Lua's own. HELIO_BASE_URL leads to a server that says back what it was told.

local helio = require("helio")

local function ask(text, stream)
  return ('{"model":"m","messages":[{"role":"user","content":"%s"}],"stream":%s}'):format(text, tostring(stream or false))
end

-- A game's loop: update never waits, and all tasks end.
local client = helio.client('{"api_key":"k"}')
local heard, frames = {}, 0
for number = 1, 5 do
  client:go(function()
    local text = ""
    for chunk in client:stream(ask("number " .. number, true)) do text = text .. chunk.text end
    -- A task may start another, and yield for reasons of its own.
    client:go(function() heard[number] = text end)
    coroutine.yield()
  end)
end
while next(client.tasks) do
  client:update(1)
  frames = frames + 1
  assert(frames < 60000, "it never ends")
end
for number = 1, 5 do assert(heard[number] == "You said: number " .. number, heard[number]) end

-- In a coroutine that is no task, reading waits.
local answer = coroutine.wrap(function() return client:complete(ask("Hi")).text end)()
assert(answer == "You said: Hi", answer)

-- Failures are raised as errors that say what to do; other arguments are refused, too.
local went, failure = pcall(client.complete, client, '{"model":"refuse","messages":[]}')
assert(not went and failure.status_name == "HELIO_ERR_BAD_REQUEST" and failure.code == "model_refused", failure)
went, failure = pcall(client.complete, client, "[]")
assert(not went and failure.status_name == "HELIO_ERR_INVALID_JSON", failure)

-- What a task raises comes out of run.
client:go(function() error("its own fault", 0) end)
went, failure = pcall(client.run, client)
assert(not went and failure == "its own fault", failure)

-- A closed client refuses, and may be closed again.
client:close()
client:close()
for _, call in ipairs({ "reserve", "prewarm", "stats", "wait_handle" }) do
  went, failure = pcall(client[call], client)
  assert(not went and failure.status_name == "HELIO_ERR_SHUT_DOWN", call)
end
assert(tostring(client) == "helio client, closed")

-- Client and stream may be collected together, in any order.
for _ = 1, 20 do
  helio.client('{"api_key":"k"}'):stream(ask("Hi", true))
  collectgarbage()
end

-- A conversation, and JSON.
local chat = helio.chat()
chat:add("user", "Hi \u{2713}")
assert(chat:count() == 1)
chat:remove(0)
assert(chat:count() == 0)
went, failure = pcall(chat.add, chat, "nobody", "x")
assert(not went and failure.status_name == "HELIO_ERR_INVALID_ARGUMENT", failure)
assert(helio.json_get('{"a":["b\\n"]}', "/a/0") == "b\n" and helio.json_get("{}", "/a") == nil)
print("all held")
