//! Whatever a server says, head and framing included, over a real socket and through the C functions: one DONE, in time, and if it is
//! well, with a whole completion in it. The same bytes in one piece and in several mean the same.

#![no_main]

use std::ffi::c_void;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use helio::abi::*;
use libfuzzer_sys::fuzz_target;

struct Rig {
    client: usize, // a pointer: the client is thread-safe
    answers: SyncSender<Vec<Vec<u8>>>,
}

/// A server that answers each connection with the pieces that it is told, and the client that asks it.
fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let (answers, told) = sync_channel::<Vec<Vec<u8>>>(1);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), Ok(pieces)) = (stream, told.recv()) else { return };
                let (mut request, mut buffer) = (Vec::new(), [0; 2048]);
                while !request.ends_with(b"]}") {
                    match stream.read(&mut buffer) {
                        Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                        _ => break,
                    }
                }
                let _gone = stream.set_nodelay(true);
                for piece in pieces {
                    if stream.write_all(&piece).is_err() {
                        break;
                    }
                }
                let _gone = stream.shutdown(std::net::Shutdown::Write);
                // The client may keep it until its next request, which must not wait for that.
                std::thread::spawn(move || stream.read(&mut [0; 2048]));
            }
        });
        let config = format!(
            r#"{{"base_url":"http://127.0.0.1:{port}/v1","api_key":"fuzz","retry":{{"max_retries":0}},
            "timeouts":{{"connect_ms":5000,"first_event_ms":5000,"idle_ms":5000,"total_ms":8000}}}}"#
        );
        let mut client = null_mut();
        // SAFETY: all pointers are valid for the calls.
        unsafe {
            let mut options: helio_client_options = std::mem::zeroed();
            helio_client_options_init(&mut options, size_of::<helio_client_options>() as u32);
            (options.config, options.config_len) = (config.as_ptr().cast(), config.len());
            assert_eq!(helio_client_create(&options, &mut client, null_mut()), HELIO_OK, "{config}");
        }
        Rig { client: client as usize, answers }
    })
}

unsafe extern "C" fn on_event(event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: a valid event, and what was given with the request.
    let (event, dones) = unsafe { (&*event, &mut *user_data.cast::<u32>()) };
    assert_eq!(*dones, 0, "an event behind DONE");
    *dones += u32::from(event.kind == HELIO_EVENT_DONE);
    0
}

fn ask(pieces: Vec<Vec<u8>>) -> helio_status {
    let rig = rig();
    rig.answers.send(pieces).expect("the server");
    let body = br#"{"model":"m","stream":true,"messages":[]}"#;
    let (mut dones, mut answer, mut error) = (0u32, null_mut(), null_mut());
    // SAFETY: all pointers are valid for the calls.
    unsafe {
        let mut options: helio_request_options = std::mem::zeroed();
        helio_request_options_init(&mut options, size_of::<helio_request_options>() as u32);
        options.on_event = Some(on_event);
        options.user_data = (&raw mut dones).cast();
        let client = rig.client as *mut helio_client;
        let status = helio_complete(client, body.as_ptr().cast(), body.len(), &options, &mut answer, &mut error);
        assert_eq!(dones, 1);
        if status == HELIO_ERR_TIMEOUT {
            let message = std::ffi::CStr::from_ptr(helio_error_message(error, null_mut()));
            panic!("it did not end though the server had: {message:?}");
        }
        helio_error_free(error);
        if status == HELIO_OK {
            let data = helio_buffer_data(answer).cast::<u8>();
            let whole = std::slice::from_raw_parts(data, helio_buffer_size(answer));
            let value: serde_json::Value = serde_json::from_slice(whole).expect("JSON");
            let choices = value["choices"].as_array().expect("choices");
            assert!(!choices.is_empty());
        }
        helio_buffer_free(answer);
        status
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let once = ask(vec![bytes.to_vec()]);
    let split = ask(bytes.chunks(usize::from(first) + 1).map(<[u8]>::to_vec).collect());
    assert_eq!(once, split);
});
