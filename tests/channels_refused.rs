//! What is refused where an end crosses, and what a hostile peer can do to a channel.

mod support;

use futures::{FutureExt, StreamExt};
use support::Executor;
use ziggurat::channel::{RecvError, TryRecvError, bounded, growable, spsc, unbounded};
use ziggurat::{OpenError, ZigError};
use ziggurat_tests_zig::channels::{self as zig, Sum};

on_every_executor! {
    async fn references_pass_clones_and_failed_opens_lose_nothing(_executor: Executor) {
        let (s, r) = bounded(4);
        let refused = zig::mismatched::sum_of(s.clone(), 1).open().unwrap_err();
        assert!(matches!(refused, OpenError::ArgType { .. }), "{refused}");
        assert!(refused.to_string().contains("is a receiver of u64 in Zig, not a sender of u64"));
        assert_eq!(s.sender_count(), 1);
        let refused = zig::mismatched::give_back_receiver(r.clone(), 1).open().unwrap_err();
        assert!(matches!(refused, OpenError::ResultType { .. }), "{refused}");
        assert_eq!(s.receiver_count(), 1);
        let mut producer = zig::by_reference::count_into(&s, 3, 0, 1).open().unwrap();
        let mut consumer = zig::by_reference::sum_of(&r, 1).open().unwrap();
        assert_eq!((s.sender_count(), s.receiver_count()), (2, 2));
        assert_eq!(producer.close().await, Ok(3));
        drop(s);
        assert_eq!(consumer.close().await, Ok(Sum { sum: 3, count: 3, disorder: 0 }));
        drop(r);
        let (other, gone) = bounded(4);
        let refused = zig::mismatched::count_into(other, 1, 0, 1).open().unwrap_err();
        assert!(matches!(refused, OpenError::ArgType { .. }), "{refused}");
        assert_eq!(gone.recv().await, Err(RecvError));
        // Zig looks at the channel itself.
        let (s, r) = unbounded();
        let refused = zig::count_into(s, 1, 0, 1).open().unwrap_err();
        let OpenError::Failed(failure) = refused else { panic!("{refused}") };
        assert_eq!(failure.name(), "ChannelKind");
        assert_eq!((r.sender_count(), r.recv().await), (0, Err(RecvError)));
    }

    async fn an_end_that_cannot_be_is_a_typed_error(_executor: Executor) {
        use ziggurat::channel::zig::EndError;
        let (_s, r) = bounded(4);
        let error = zig::gives_nothing_back(r).open().unwrap().close().await.unwrap_err();
        assert_eq!(error, ZigError::Protocol(EndError::Null.into()));
        let (_s, r) = bounded(4);
        let mut wrong = zig::mismatched::kind::give_back_receiver(r, 0).open().unwrap();
        let error = wrong.close().await.unwrap_err();
        assert_eq!(error, ZigError::Protocol(EndError::Kind { found: 1, needed: 3 }.into()));
    }

    async fn a_hostile_peer_is_found_out(_executor: Executor) {
        use ziggurat::channel::ProtocolError::{Other, Position, Stamp};
        for (how, fault) in [(0, Position), (1, Stamp), (2, Stamp), (77, Other(77))] {
            let (s, r) = bounded::<u64>(4);
            zig::break_ring(s.clone(), how).open().unwrap().close().await.unwrap();
            if how == 2 {
                assert!(s.try_send(1).is_err());
            }
            assert_eq!(r.recv().await, Err(RecvError));
            assert_eq!((r.fault(), s.is_closed()), (Some(fault), true));
        }
        // What was published and never written is some number, and no undefined behaviour.
        let (s, r) = bounded::<u64>(4);
        zig::break_ring(s.clone(), 3).open().unwrap().close().await.unwrap();
        assert_eq!((r.recv().await, r.fault()), (Ok(0), None));
        // What was claimed and never published keeps those behind it, who may give up.
        let (s, r) = bounded::<u64>(4);
        zig::break_ring(s.clone(), 4).open().unwrap().close().await.unwrap();
        s.send(1).await.unwrap();
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        assert!(r.recv().now_or_never().is_none());
        // Parked words that lie cost looks at a list, and no more.
        let (s, r) = bounded::<u64>(4);
        zig::break_ring(s.clone(), 6).open().unwrap().close().await.unwrap();
        for i in 0..10 {
            s.send(i).await.unwrap();
            assert_eq!(r.recv().await, Ok(i));
        }
        // Numbers of rings that are not there.
        for (how, fault) in [(0, Position), (5, Position), (77, Other(77))] {
            let (s, r) = growable::<u64>();
            s.try_send(1).unwrap();
            zig::break_ring(s.clone(), how).open().unwrap().close().await.unwrap();
            // What was sound before is received, unless it was skipped.
            if how != 5 {
                assert_eq!(r.recv().await, Ok(1));
            }
            assert_eq!((r.recv().await, r.fault()), (Err(RecvError), Some(fault)));
            assert!(s.try_send(2).is_err());
        }
        let (s, r) = growable::<u64>();
        zig::break_ring(s.clone(), 6).open().unwrap().close().await.unwrap();
        for i in 0..100 {
            s.send(i).await.unwrap();
            assert_eq!(r.recv().await, Ok(i));
        }
        for (how, fault) in [(0, Position), (77, Other(77))] {
            let (s, mut r) = spsc::bounded::<u64>(4);
            zig::spsc::break_ring(s, how).open().unwrap().close().await.unwrap();
            assert_eq!((r.recv().await, r.fault()), (Err(RecvError), Some(fault)));
        }
        let (s, mut r) = spsc::bounded::<u64>(4);
        zig::spsc::break_ring(s, 5).open().unwrap().close().await.unwrap();
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    }
}

/// Both languages say the same about where a header's fields are.
#[test]
fn the_layouts_agree() {
    let offsets: Vec<_> = futures::executor::block_on(zig::offsets().open().unwrap().collect());
    let offsets: Vec<_> = offsets.into_iter().map(|offset| offset.unwrap() as usize).collect();
    assert_eq!(offsets, ziggurat::channel::layout::OFFSETS);
}
