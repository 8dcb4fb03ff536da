//! What an item costs that comes through a selection, beside other crates' selections.

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use futures::stream::select_all;
use futures_concurrency::stream::Merge as ConcurrencyMerge;
use tokio_stream::StreamMap;
use tower::Service;
use ziggurat_core::wake::{WakeByNumber, WakerBlock};
use ziggurat_patterns::service::Steer;
use ziggurat_patterns::stream::{MergeMap, MergeTuple, merge, zip};

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;
use echo::Echo;
use support::{Case, Unit, case, compare};

const ITEMS: u64 = 20_000;

/// A stream that always has an item, or never.
struct Source {
    next: u64,
    idle: bool,
}

impl Stream for Source {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<u64>> {
        if self.idle {
            return Poll::Pending;
        }
        self.next += 1;
        Poll::Ready(Some(self.next))
    }
}

fn sources(count: usize, ready: impl Fn(usize) -> bool) -> Vec<Source> {
    (0..count).map(|n| Source { next: n as u64, idle: !ready(n) }).collect()
}

/// Takes so many items of a stream that always has one.
fn take<S: Stream>(mut stream: Pin<&mut S>, items: u64) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..items {
        // Some merges return `Pending` now and then to let others run.
        while black_box(stream.as_mut().poll_next(&mut cx)).is_pending() {}
    }
    items
}

fn taking<'a, S: Stream + 'a>(name: &'a str, stream: S) -> Case<'a> {
    let mut stream = Box::pin(stream);
    case(name, move || take(stream.as_mut(), ITEMS))
}

/// Ours twice, and the others that merge any number of streams.
fn of_many(title: &str, make: impl Fn() -> Vec<Source>) {
    let map = make().into_iter().enumerate().collect::<MergeMap<usize, _>>();
    let mut stream_map = StreamMap::new();
    for (n, source) in make().into_iter().enumerate() {
        stream_map.insert(n, source);
    }
    let cases = vec![
        taking("Merge", merge(make())),
        taking("MergeMap", map),
        taking("tokio_stream::StreamMap", stream_map),
        taking("futures::select_all", select_all(make())),
        taking("futures_concurrency merge", ConcurrencyMerge::merge(make())),
    ];
    compare(title, Unit::Nanoseconds, 61, cases);
}

/// A stream that is fed by hand, and remembers whom to wake.
#[derive(Clone, Default)]
struct Fed(Rc<RefCell<(Option<u64>, Option<Waker>)>>);

impl Fed {
    fn feed(&self, item: u64) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.0 = Some(item);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream for Fed {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        self.poll_item(cx)
    }
}

impl Fed {
    fn poll_item(&self, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        let mut state = self.0.borrow_mut();
        let item = state.0.take();
        if item.is_none() {
            match &mut state.1 {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        Poll::Ready(item)
    }
}

/// How many streams there are, and how many of them get an item each per round: others each time, or
/// always the same, which stay in the caches.
#[derive(Clone, Copy)]
struct Load {
    streams: usize,
    fed: usize,
    rounds: u64,
    anew: bool,
}

const MANY: Load = Load { streams: 10_000, fed: 100, rounds: 100, anew: true };
const FEW: Load = Load { streams: 256, ..MANY };

/// Who gets an item in each round.
struct Order {
    load: Load,
    rng: fastrand::Rng,
    order: Vec<usize>,
}

impl Order {
    fn new(load: Load) -> Self {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut order: Vec<_> = (0..load.streams).collect();
        rng.shuffle(&mut order);
        Order { load, rng, order }
    }

    fn next(&mut self, mut feed: impl FnMut(usize)) {
        for n in 0..self.load.fed {
            if self.load.anew {
                let other = self.rng.usize(n..self.load.streams);
                self.order.swap(n, other);
            }
            feed(self.order[n]);
        }
    }

    fn fed(&self) -> &[usize] {
        &self.order[..self.load.fed]
    }
}

/// Feeds some of the streams, and takes all there is.
fn feeding<'a, S: Stream + 'a>(
    name: &'a str,
    load: Load,
    make: impl FnOnce(Vec<Fed>) -> S,
) -> Case<'a> {
    let feeds: Vec<_> = (0..load.streams).map(|_| Fed::default()).collect();
    let mut stream = Box::pin(make(feeds.clone()));
    let mut order = Order::new(load);
    case(name, move || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut items = 0;
        for _ in 0..load.rounds {
            order.next(|n| feeds[n].feed(1));
            let target = items + load.fed as u64;
            while items < target {
                if black_box(stream.as_mut().poll_next(&mut cx)).is_ready() {
                    items += 1;
                }
            }
            while stream.as_mut().poll_next(&mut cx).is_ready() {}
        }
        items
    })
}

/// Sets a bit, as the least that a thread can do who wakes one of many.
#[derive(Default)]
struct Bit(AtomicU64);

impl WakeByNumber for Bit {
    fn wake(&self, number: usize) {
        self.0.fetch_or(1 << number, Ordering::AcqRel);
    }
}

/// The least that it can cost: who has an item is known, and is polled directly until it has none.
fn by_hand<'a>(name: &'a str, load: Load) -> Case<'a> {
    let feeds: Vec<_> = (0..load.streams).map(|_| Fed::default()).collect();
    let wakers: Vec<_> =
        (0..load.streams).step_by(64).map(|_| WakerBlock::<Bit>::default()).collect();
    let poll = move |feed: &Fed, n: usize| {
        feed.poll_item(&mut Context::from_waker(&wakers[n / 64].waker(n % 64)))
    };
    // As a merge has, all are polled once, and have a waker.
    for (n, feed) in feeds.iter().enumerate() {
        assert!(poll(feed, n).is_pending());
    }
    let mut order = Order::new(load);
    case(name, move || {
        for _ in 0..load.rounds {
            order.next(|n| feeds[n].feed(1));
            for &n in order.fed() {
                let feed = &feeds[n];
                while black_box(poll(feed, n)).is_ready() {}
            }
        }
        load.rounds * load.fed as u64
    })
}

fn stream_map(feeds: Vec<Fed>) -> StreamMap<usize, Fed> {
    let mut map = StreamMap::new();
    for (n, feed) in feeds.into_iter().enumerate() {
        map.insert(n, feed);
    }
    map
}

fn fed() {
    let cases = vec![
        by_hand("by hand, of 256", FEW),
        by_hand("by hand, of 10,000", MANY),
        feeding("Merge of 10,000", MANY, merge),
        feeding("Merge of 10,000, the same 100", Load { anew: false, ..MANY }, merge),
        feeding("Merge of 256", FEW, merge),
        feeding("Merge of 256, the same 100", Load { anew: false, ..FEW }, merge),
        feeding("MergeMap of 10,000", MANY, |feeds| {
            feeds.into_iter().enumerate().collect::<MergeMap<usize, _>>()
        }),
        feeding("select_all of 10,000", MANY, select_all),
        feeding("select_all of 256", FEW, select_all),
        feeding("StreamMap of 10,000", Load { rounds: 1, ..MANY }, stream_map),
    ];
    compare("100 streams get an item each", Unit::Nanoseconds, 41, cases);
    // 1 % of both, as near as it gets.
    let few = Load { fed: 3, rounds: 3000, ..FEW };
    let cases = vec![
        feeding("Merge of 256, 3 get an item", few, merge),
        feeding("Merge of 10,000, 100 get an item", MANY, merge),
        by_hand("by hand, 3 of 256", few),
        by_hand("by hand, 100 of 10,000", MANY),
        feeding("select_all of 256, 3 get an item", few, select_all),
        feeding("select_all of 10,000, 100 get an item", MANY, select_all),
    ];
    compare("1 % of the streams get an item each", Unit::Nanoseconds, 41, cases);
    let one = |load| Load { fed: 1, rounds: 5000, ..load };
    let cases = vec![
        feeding("Merge of 256", one(FEW), merge),
        feeding("Merge of 10,000", one(MANY), merge),
        feeding("select_all of 256", one(FEW), select_all),
        feeding("select_all of 10,000", one(MANY), select_all),
    ];
    compare("one stream gets an item, and then we wait", Unit::Nanoseconds, 41, cases);
}

fn tuples() {
    let two = || (sources(1, |_| true).remove(0), sources(1, |_| true).remove(0));
    let (a, b) = two();
    let (c, d) = two();
    let (e, f) = two();
    let cases = vec![
        taking("(a, b).merge()", MergeTuple::merge(two())),
        taking("(a, b).merge_biased()", two().merge_biased()),
        taking("futures::select", futures::stream::select(a, b)),
        taking("tokio_stream merge", tokio_stream::StreamExt::merge(c, d)),
        taking("futures_concurrency merge", ConcurrencyMerge::merge((e, f))),
    ];
    compare("a tuple of 2 that are always ready", Unit::Nanoseconds, 61, cases);

    let (a, b) = two();
    let (c, d) = two();
    let cases =
        vec![taking("zip", zip(a, b)), taking("futures zip", futures::StreamExt::zip(c, d))];
    compare("2 streams side by side", Unit::Nanoseconds, 61, cases);
}

fn calling<'a, S: Service<u64> + 'a>(name: &'a str, mut service: S) -> Case<'a> {
    case(name, move || {
        let mut cx = Context::from_waker(Waker::noop());
        for n in 0..ITEMS {
            let _ = black_box(service.poll_ready(&mut cx).is_ready());
            let mut future = std::pin::pin!(service.call(n));
            let _ = black_box(future.as_mut().poll(&mut cx).is_ready());
        }
        ITEMS
    })
}

fn services() {
    for count in [4, 64] {
        let echoes = || (0..count).map(|_| Echo);
        let pick = move |request: &u64, _: &[Echo]| *request as usize % count;
        let cases = vec![
            calling("Steer", Steer::new(echoes(), pick)),
            calling("tower::steer", tower::steer::Steer::new(echoes(), pick)),
        ];
        compare(&format!("a call to one of {count} services"), Unit::Nanoseconds, 61, cases);
    }
}

fn main() {
    for count in [2, 16, 256] {
        of_many(&format!("merge of {count}, all ready"), || sources(count, |_| true));
    }
    of_many("merge of 256, one ready", || sources(256, |n| n == 100));
    fed();
    tuples();
    services();
}
