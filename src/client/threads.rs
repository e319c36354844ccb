//! The threads of a client that may block: for the way to an answer's head, for bodies that cannot be read elsewhere,
//! and for the host's code in THREAD. Made on demand up to a limit; they go when idle.
//!
//! Who wants a thread takes a [`Seat`] first, in order; with a seat there always is one. Only the last event of a
//! request that holds none goes without if all are taken: for these a few threads more may be made, so that such a
//! DONE need not wait for other requests.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::deliver::Courier;
use crate::os;

/// Idle threads go after so long.
const KEPT: Duration = Duration::from_secs(5);
/// Host code runs on them.
const STACK: usize = 1 << 20;
/// So many more than the limit for last events.
const EXTRA: usize = 4;
/// The system refused a thread: ask again after so long.
const AGAIN: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce() + Send>;

/// The right to a thread.
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
}

/// All of them.
pub(super) struct Threads {
    seats: Arc<Semaphore>,
    pool: Arc<Pool>,
}

struct Pool {
    state: Mutex<State>,
    work_came: Condvar,
}

#[derive(Default)]
struct State {
    seated: VecDeque<(Work, Seat)>,
    standing: VecDeque<Work>, // without a seat
    serve_standing: usize,    // threads that do such work
    idle: usize,
    count: usize,
    closed: bool,
    handles: Vec<JoinHandle<()>>,
}

thread_local! {
    static IS_HERE: Cell<bool> = const { Cell::new(false) };
}

impl Threads {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let pool = Pool { state: Mutex::default(), work_came: Condvar::new() };
        Threads { seats: Arc::new(Semaphore::new(most)), pool: Arc::new(pool) }
    }

    /// Wait for a seat: first come, first served. `None`: never, for the client is gone.
    pub async fn seat(&self) -> Option<Seat> {
        self.seats.clone().acquire_owned().await.ok().map(|_permit| Seat { _permit })
    }

    /// Run it on a thread, now. If the system refuses one, the work is dropped.
    pub fn run(&self, seat: Seat, work: Work) -> io::Result<()> {
        self.pool.push(Piece::Seated(work, seat)).map_err(|(error, _)| error)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pool.lock().count
    }

    /// They go, and are waited for. Nothing runs on them any more.
    pub fn end(&self) {
        let handles = std::mem::take(&mut self.pool.close().handles);
        for handle in handles {
            let _it_does_not_panic = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.pool.close());
    }
}

impl Courier for Threads {
    fn is_here(&self) -> bool {
        IS_HERE.get()
    }

    fn send(&self, work: Work) {
        let piece = match self.seats.clone().try_acquire_owned() {
            Ok(_permit) => Piece::Seated(work, Seat { _permit }),
            Err(_) => Piece::Standing(work),
        };
        let Err((_, piece)) = self.pool.push(piece) else { return };
        // On the internal runtime: this only happens where a call is ended from there.
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let mut refused = Some(piece);
            while let Some(piece) = refused {
                tokio::time::sleep(AGAIN).await;
                refused = pool.push(piece).err().map(|(_, piece)| piece);
            }
        });
    }
}

/// Something to do.
enum Piece {
    Seated(Work, Seat),
    Standing(Work),
}

impl Pool {
    /// To an idle thread, else to a new one; what stands may have to wait for others that do.
    fn push(self: &Arc<Self>, piece: Piece) -> Result<(), (io::Error, Piece)> {
        let mut state = self.lock();
        let is_idle = state.idle > state.due();
        let may_start = matches!(piece, Piece::Seated(..)) || state.serve_standing + state.standing.len() < EXTRA;
        if is_idle || !may_start {
            match piece {
                Piece::Seated(work, seat) => state.seated.push_back((work, seat)),
                Piece::Standing(work) => state.standing.push_back(work),
            }
            self.work_came.notify_one();
            return Ok(());
        }
        state.count += 1;
        state.serve_standing += usize::from(matches!(piece, Piece::Standing(_)));
        drop(state);
        let is_standing = matches!(piece, Piece::Standing(_));
        let first = Arc::new(Mutex::new(Some(piece)));
        let (pool, given) = (self.clone(), first.clone());
        let spawned = os::spawn("helio-worker", STACK, true, move || {
            let first = given.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            drop(given);
            pool.work(first);
        });
        let mut state = self.lock();
        match spawned {
            Ok(handle) => {
                state.handles.retain(|handle| !handle.is_finished());
                state.handles.push(handle);
                Ok(())
            }
            Err(error) => {
                state.count -= 1;
                state.serve_standing -= usize::from(is_standing);
                let piece = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
                piece.map_or(Ok(()), |piece| Err((error, piece)))
            }
        }
    }

    fn work(&self, first: Option<Piece>) {
        IS_HERE.set(true);
        let mut next = first;
        while let Some(piece) = next.or_else(|| self.next()) {
            // What panics has ended its request on the way out.
            let run = |work: Work| drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
            match piece {
                Piece::Seated(work, seat) => {
                    run(work);
                    // Idle before the seat is free: who gets it finds this thread.
                    self.lock().idle += 1;
                    drop(seat);
                    self.lock().idle -= 1;
                }
                Piece::Standing(work) => {
                    run(work);
                    self.lock().serve_standing -= 1;
                }
            }
            next = None;
        }
    }

    /// The next piece of work; `None`: there has been none for long, or the client is gone.
    fn next(&self) -> Option<Piece> {
        let mut state = self.lock();
        loop {
            if let Some(piece) = state.take() {
                return Some(piece);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (back, waited) =
                self.work_came.wait_timeout(state, KEPT).unwrap_or_else(|poisoned| poisoned.into_inner());
            state = back;
            state.idle -= 1;
            if waited.timed_out() && state.due() == 0 {
                break;
            }
        }
        state.count -= 1;
        None
    }

    fn close(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.closed = true;
        self.work_came.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    /// Pieces that a thread could take now.
    fn due(&self) -> usize {
        self.seated.len() + self.standing.len().min(EXTRA - self.serve_standing)
    }

    fn take(&mut self) -> Option<Piece> {
        if let Some((work, seat)) = self.seated.pop_front() {
            return Some(Piece::Seated(work, seat));
        }
        if self.serve_standing == EXTRA {
            return None;
        }
        let work = self.standing.pop_front()?;
        self.serve_standing += 1;
        Some(Piece::Standing(work))
    }
}
