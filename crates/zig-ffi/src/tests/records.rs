//! Error records, filled in or not.

use std::ptr;
use std::task::Context;

use crate::abi::{self, DOMAIN_RUNTIME, ErrorRecord, Slice};
use crate::testing::{Crossing, FakeSource, Task, text};
use crate::{Failure, Panic, Progress, ZigError};

/// How a source ends with this status and this record.
fn ending(status: i32, record: Option<ErrorRecord>) -> ZigError {
    let mut fake = FakeSource::<u64>::new([Crossing::new(status)]);
    if let Some(record) = record {
        fake = fake.describing(record);
    }
    let mut source = fake.open();
    let waker = Task::new().waker();
    let (_, progress) = fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    drop(source);
    assert_eq!(fake.calls().descriptions, 1);
    fake.assert_released();
    match progress {
        Progress::Ended(Some(error)) => error,
        other => panic!("an error, not {other:?}"),
    }
}

fn failure(record: Option<ErrorRecord>) -> Box<Failure> {
    match ending(abi::ERROR, record) {
        ZigError::Failed(failure) => failure,
        other => panic!("a failure, not {other:?}"),
    }
}

fn panic(record: Option<ErrorRecord>) -> Box<Panic> {
    match ending(abi::PANICKED, record) {
        ZigError::Panicked(panic) => panic,
        other => panic!("a panic, not {other:?}"),
    }
}

#[test]
fn a_full_record() {
    let record = ErrorRecord {
        domain: DOMAIN_RUNTIME,
        code: -7,
        name: text(b"SystemResources"),
        message: text(b"no thread could be started"),
        function: text(b"lines"),
    };
    let failure = failure(Some(record));
    assert_eq!(
        (failure.name(), failure.code(), failure.is_runtime()),
        ("SystemResources", -7, true)
    );
    assert_eq!(failure.message(), Some("no thread could be started"));
    assert_eq!(failure.to_string(), "no thread could be started: SystemResources");
    let panic = panic(Some(record));
    assert_eq!((&*panic.function, &*panic.message), ("lines", "no thread could be started"));
}

#[test]
fn a_record_that_was_not_filled_in() {
    let failure = failure(None);
    assert_eq!((failure.name(), failure.message(), failure.code()), ("Unknown", None, 0));
    assert!(!failure.is_runtime());
    let panic = panic(None);
    assert_eq!((&*panic.function, &*panic.message), ("", ""));
}

#[test]
fn null_and_empty_texts() {
    // A null pointer makes any length meaningless.
    for slice in [
        Slice { ptr: ptr::null(), len: 0 },
        Slice { ptr: ptr::null(), len: usize::MAX },
        Slice { ptr: ptr::without_provenance(1), len: 0 },
        text(b""),
    ] {
        let record =
            ErrorRecord { name: slice, message: slice, function: slice, ..ErrorRecord::EMPTY };
        let failure = failure(Some(record));
        assert_eq!((failure.name(), failure.message()), ("Unknown", None));
        assert_eq!(&*panic(Some(record)).message, "");
    }
}

#[test]
fn texts_that_are_not_utf8_are_shown_as_well_as_can_be() {
    let record = ErrorRecord { name: text(b"Bad\xffName"), ..ErrorRecord::EMPTY };
    assert_eq!(failure(Some(record)).name(), "Bad\u{fffd}Name");
}

#[test]
fn a_huge_text_is_cut() {
    static HUGE: [u8; 1 << 20] = [b'x'; 1 << 20];
    let record = ErrorRecord { message: text(&HUGE), name: text(b"Huge"), ..ErrorRecord::EMPTY };
    assert_eq!(failure(Some(record)).message().map(str::len), Some(64 * 1024));
    assert_eq!(panic(Some(record)).message.len(), 64 * 1024);
}

#[test]
fn an_unknown_domain_or_code_is_only_a_number() {
    let record =
        ErrorRecord { domain: u32::MAX, code: i32::MIN, name: text(b"Odd"), ..ErrorRecord::EMPTY };
    let failure = failure(Some(record));
    assert_eq!((failure.code(), failure.is_runtime()), (i32::MIN, false));
}

#[test]
fn names_of_the_operating_systems_errors_keep_their_kind() {
    use std::io::{Error, ErrorKind};
    let error =
        ending(abi::ERROR, Some(ErrorRecord { name: text(b"FileNotFound"), ..ErrorRecord::EMPTY }));
    assert_eq!(error.name(), Some("FileNotFound"));
    let io = Error::from(error.clone());
    assert_eq!(io.kind(), ErrorKind::NotFound);
    assert_eq!(io.get_ref().and_then(|e| e.downcast_ref::<ZigError>()), Some(&error));
    assert_eq!(Error::from(ZigError::Closed).kind(), ErrorKind::BrokenPipe);
    assert_eq!(Error::from(ZigError::Canceled).kind(), ErrorKind::Other);
}
