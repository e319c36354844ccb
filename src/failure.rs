//! What went wrong, in full: the safe side of `helio_error`.

use crate::status::Status;

/// Everything a host can ask of an error. Text that is absent is `None`, never an empty string.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which outcome of the contract.
    pub status: Status,
    /// The HTTP status the server sent; 0 before a response.
    pub http_status: u16,
    /// A sentence: what, where, what to do.
    pub message: String,
    /// The server's code as text; for `Timeout` the name of the deadline.
    pub code: Option<String>,
    /// The server's error type.
    pub kind: Option<String>,
    /// The body of a refusal, or the bytes that could not be understood.
    pub body: Option<String>,
    /// How long to wait before another try, in milliseconds; `None`: another try makes no sense.
    pub retry_after_ms: Option<u64>,
    /// The report of the request, as JSON.
    pub report: Option<String>,
}

impl Failure {
    /// A failure with nothing but a status and a sentence.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Failure {
            status,
            http_status: 0,
            message: message.into(),
            code: None,
            kind: None,
            body: None,
            retry_after_ms: None,
            report: None,
        }
    }

    /// The host's mistake.
    pub fn argument(message: impl Into<String>) -> Self {
        Failure::new(Status::InvalidArgument, message)
    }

    /// Something the system refused us, or a fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure::new(Status::Internal, message)
    }
}

/// A panic in our code, which ends here.
pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::internal(format!("a fault inside helio, please report it: {}", text.unwrap_or("no words")))
}
