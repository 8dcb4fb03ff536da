//! Model checks of the retry budget and of the circuit breaker.

use loom::sync::Arc;
use loom::thread;
use ziggurat_patterns::circuit_breaker::{Config, State};
use ziggurat_patterns::model::{Core, Tokens};

use super::model;

#[test]
fn retry_models() {
    model("two withdraw the last token", 3, || {
        let tokens = Arc::new(Tokens::new(2, 1));
        let other = Arc::clone(&tokens);
        let thread = thread::spawn(move || other.withdraw(0, 1));
        let mine = tokens.withdraw(0, 1);
        let theirs = thread.join().unwrap();
        assert!(mine != theirs, "one of two gets it: {mine} {theirs}");
        assert_eq!(tokens.balance(0), 0);
        // The withdrawal is forgotten.
        assert_eq!(tokens.balance(2), 1);
    });

    model("a deposit, a withdrawal and a slot that is taken over", 3, || {
        let tokens = Arc::new(Tokens::new(2, 0));
        tokens.deposit(0, 1);
        let other = Arc::clone(&tokens);
        // The same slot as that of tick 0, which is replaced.
        let thread = thread::spawn(move || other.deposit(2, 1));
        let got = [tokens.withdraw(1, 1), tokens.withdraw(2, 1)];
        thread.join().unwrap();
        let got = got.into_iter().filter(|got| *got).count() as i64;
        assert!(got <= 2);
        // When all is quiet, the balance is what the slots say, to the last token: the deposit of tick 2
        // and the withdrawals, and later nothing.
        assert_eq!(tokens.balance(2), 1 - got);
        assert_eq!(tokens.balance(5), 0);
    });

    model("a slot is forgotten once", 3, || {
        let tokens = Arc::new(Tokens::new(2, 0));
        tokens.deposit(0, 1);
        let other = Arc::clone(&tokens);
        let thread = thread::spawn(move || other.balance(2));
        tokens.deposit(2, 1);
        thread.join().unwrap();
        assert_eq!(tokens.balance(2), 1);
    });

    model("two ask for the one probe", 3, || {
        let core = Arc::new(Core::model(Config::consecutive(std::num::NonZeroU32::MIN)));
        let pass = core.acquire(|| 0).unwrap();
        core.finish(pass, true, None, || 0);
        let now = || u64::MAX;
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || other.acquire(now).ok());
        let mine = core.acquire(now).ok();
        let theirs = thread.join().unwrap();
        assert!(mine.is_some() != theirs.is_some());
        let probe = mine.or(theirs).unwrap();
        core.finish(probe, false, None, now);
        assert_eq!(core.state_now(), State::Closed);
    });

    model("a probe fails while another is given back", 3, || {
        let probes = std::num::NonZeroU32::new(2).unwrap();
        let config = Config::consecutive(std::num::NonZeroU32::MIN).with_probes(probes);
        let core = Arc::new(Core::model(config));
        let pass = core.acquire(|| 0).unwrap();
        core.finish(pass, true, None, || 0);
        let now = || u64::MAX;
        let (first, second) = (core.acquire(now).unwrap(), core.acquire(now).unwrap());
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || other.release(second));
        core.finish(first, true, None, || 0);
        thread.join().unwrap();
        assert_eq!(core.state_now(), State::Open);
        // There are two again, not three.
        let probes = [(); 3].map(|()| core.acquire(now).is_ok());
        assert_eq!(probes, [true, true, false]);
    });
}
