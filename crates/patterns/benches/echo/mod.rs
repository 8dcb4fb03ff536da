//! A service that answers at once, for what is put around it.

#![allow(dead_code)] // each bench uses a part of it

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ziggurat_patterns::Service;

/// How many calls [`call`] makes.
pub const CALLS: u64 = 100_000;

/// Answers with the request.
#[derive(Clone, Copy)]
pub struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Calls one after the other, each of which is answered at once.
pub fn call(service: &mut impl Service<u64>) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    for n in 0..CALLS {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(black_box(n)));
        assert!(future.as_mut().poll(&mut cx).is_ready());
    }
    CALLS
}
