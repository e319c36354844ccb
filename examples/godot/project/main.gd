extends Node

# Speakers who talk at once; the words of each are put together from the node's signals. HELIO_BASE_URL and HELIO_API_KEY say whom to
# ask, SPEAKERS how many there are; STOP_AFTER stops all of them after so many chunks; FRAMES is the most that it lasts. The node would
# poll by itself; here the script does, to see how long that takes.

var speakers = number("SPEAKERS", 2)
var stop_after = number("STOP_AFTER", 0)
var frames_left = number("FRAMES", 60 * 90)
var words = {}
var live = 0
var chunks = 0
var frames = 0
var worst_ms = 0.0
var worst_poll_ms = 0.0

func number(name, otherwise):
	var told = OS.get_environment(name)
	return int(told) if told != "" else otherwise

func _ready():
	$Helio.set_process(false)
	for signal_name in ["chunk", "finished", "failed"]:
		$Helio.connect(signal_name, self, "_on_" + signal_name)
	var model = OS.get_environment("MODEL")
	for speaker in range(speakers):
		var request = {
			"model": model if model != "" else "gpt-4o-mini",
			"stream": true,
			"max_tokens": 40,
			"messages": [{"role": "user", "content": "Greet the others, speaker %d" % speaker}],
		}
		var id = $Helio.ask(to_json(request))
		if id != 0:
			words[id] = ""
			live += 1
	if live == 0:
		end()

func _on_chunk(request, text):
	words[request] += text
	chunks += 1
	if chunks == stop_after:
		$Helio.stop()

func _on_finished(request, completion):
	print("%d said: %s" % [request, parse_json(completion)["choices"][0]["message"]["content"]])
	one_less()

func _on_failed(request, status, message):
	print("%d failed with %s: %s" % [request, status, message])
	one_less()

func one_less():
	live -= 1
	if live == 0:
		end()

func _process(delta):
	var before = OS.get_ticks_usec()
	$Helio.poll()
	worst_poll_ms = max(worst_poll_ms, (OS.get_ticks_usec() - before) / 1000.0)
	frames += 1
	worst_ms = max(worst_ms, delta * 1000) if frames > 2 else 0.0
	if frames >= frames_left:
		end()

func end():
	print("%d chunks, %d frames, worst frame %.1f ms, worst poll %.2f ms" % [chunks, frames, worst_ms, worst_poll_ms])
	get_tree().quit()
