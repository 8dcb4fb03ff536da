//! std's queues, locks and the like. What shares something is given the same room: a number below 1024.

use ziggurat_stream::ZigStream;

ziggurat_stream::bind! {
    library "sync";

    /// Puts `from` up to `end` into the queue, and says each.
    pub fn put(room: u32, from: u64, end: u64) -> ZigStream<u64>;
    /// Takes up to `count`, or until it is closed, and says their sum.
    pub fn take(room: u32, count: u64) -> ZigStream<u64>;
    /// Closes the queue, and says the sum of all that was taken so far.
    pub fn close(room: u32) -> ZigStream<u64>;
    /// Every `players`th number, beginning with `me`, in turn with the others.
    pub fn turns(room: u32, me: u64, players: u64, end: u64) -> ZigStream<u64>;
    /// How many were behind the semaphore at once.
    pub fn enter(room: u32, times: u64) -> ZigStream<u64>;
    /// Locks the mutex for ever. An item once it has.
    pub fn hold(room: u32) -> ZigStream<u64>;
    /// How many hold the mutex, and how many wait for it.
    pub fn inside(room: u32) -> ZigStream<u64>;
    /// Reads what writers change in two steps, or changes it.
    pub fn read_or_write(room: u32, writes: u8, times: u64) -> ZigStream<u64>;
    /// 0 for each time-out before the event, then 1.
    pub fn wait_for_event(room: u32) -> ZigStream<u64>;
    /// Sets the event.
    pub fn set_event(room: u32) -> ZigStream<u64>;
    /// `count` numbers from the queue, each against a sleep.
    pub fn races(room: u32, count: u64) -> ZigStream<u64>;
    /// How many addresses `name` has.
    pub fn look_up(name: &str) -> ZigStream<u64>;
}
