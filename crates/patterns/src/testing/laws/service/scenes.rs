//! How the inner service may be, and who calls.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tower_service::Service;

use super::Inner;
use crate::testing::{Fault, Reply, Token};
use crate::time::TestClock;

/// A way for the inner service to be, and what a caller is bound to see of it.
pub(super) struct Scene {
    pub name: &'static str,
    pub inner: fn(&TestClock) -> Inner,
    pub expected: Result<(), Fault>,
    /// Whether that takes so long that the layer may have an error of its own.
    pub late: bool,
    /// Whether it never answers.
    pub stalls: bool,
}

const fn scene(
    name: &'static str,
    inner: fn(&TestClock) -> Inner,
    expected: Result<(), Fault>,
) -> Scene {
    Scene { name, inner, expected, late: false, stalls: false }
}

const fn late(scene: Scene) -> Scene {
    Scene { late: true, ..scene }
}

const SECOND: Duration = Duration::from_secs(1);

pub(super) const SCENES: &[Scene] = &[
    scene("an answer at once", Inner::echo, Ok(())),
    scene("not ready at first", |clock| Inner::echo(clock).not_ready(3), Ok(())),
    scene("a capacity of 1", |clock| Inner::echo(clock).capacity(1), Ok(())),
    late(scene(
        "an answer after a second",
        |clock| Inner::new(clock, |token| Reply::ok(token.clone()).after(SECOND)),
        Ok(()),
    )),
    late(scene(
        "one call a second",
        |clock| Inner::new(clock, |token| Reply::ok(token.clone()).after(SECOND)).capacity(1),
        Ok(()),
    )),
    scene("an error at once", |clock| Inner::new(clock, |_| Reply::err(Fault(1))), Err(Fault(1))),
    late(scene(
        "an error after a second",
        |clock| Inner::new(clock, |_| Reply::err(Fault(1)).after(SECOND)),
        Err(Fault(1)),
    )),
    scene(
        "an error of `poll_ready`",
        |clock| Inner::echo(clock).ready_error(Fault(2)),
        Err(Fault(2)),
    ),
    Scene {
        name: "no answer",
        inner: |clock| Inner::new(clock, |_| Reply::never()),
        expected: Ok(()),
        late: true,
        stalls: true,
    },
];

/// A caller: waits for readiness, calls, waits for the answer.
pub(super) struct Caller<S: Service<Token>> {
    /// Gone when it has failed to become ready: such a service is of no more use.
    pub service: Option<S>,
    pub request: Option<Token>,
    pub response: Option<Pin<Box<S::Future>>>,
    pub result: Option<Result<S::Response, S::Error>>,
    /// Asks for readiness once more before it calls.
    pub asks_twice: bool,
    /// Was ready, and then no longer.
    pub fickle: bool,
}

impl<S: Service<Token>> Caller<S> {
    pub(super) fn new(service: S, request: Token) -> Self {
        Caller {
            service: Some(service),
            request: Some(request),
            response: None,
            result: None,
            asks_twice: false,
            fickle: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.response.is_none() {
            let service = self.service.as_mut().expect("polled until it is done");
            if let Err(error) = ready!(service.poll_ready(cx)) {
                self.result = Some(Err(error));
                self.service = None;
                return Poll::Ready(());
            }
            if self.asks_twice {
                self.fickle |= !matches!(service.poll_ready(cx), Poll::Ready(Ok(())));
            }
            let request = self.request.take().expect("one call");
            self.response = Some(Box::pin(service.call(request)));
        }
        let response = self.response.as_mut().expect("made above");
        self.result = Some(ready!(response.as_mut().poll(cx)));
        // As after an `await`: a future that has completed does not linger.
        self.response = None;
        Poll::Ready(())
    }
}
