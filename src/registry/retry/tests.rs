use super::*;

/// A clock that only waiting moves.
#[derive(Debug, Default)]
struct StillClock(Mutex<Vec<Duration>>);

impl Clock for StillClock {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().iter().sum()
    }

    fn wait(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn patience(seed: u64) -> (Arc<Patience>, Arc<StillClock>, Arc<Heard>) {
    let (clock, heard) = (Arc::new(StillClock::default()), Arc::new(Heard::default()));
    let policy =
        RetryPolicy { seed, clock: clock.clone(), reporter: heard.clone(), ..RetryPolicy::default() };
    (Arc::new(Patience::new(policy)), clock, heard)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Fails until it is given up; returns the waits.
fn waits(patience: &Arc<Patience>, failure: &Failure) -> Vec<Duration> {
    let mut attempts = patience.attempts();
    std::iter::from_fn(|| attempts.next("r.lan", failure).inspect(|wait| attempts.wait(*wait))).collect()
}

fn answered(status: u16) -> Failure {
    Failure::of_status(status, None).unwrap()
}

#[test]
fn only_what_may_pass_is_asked_for_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 520, 599] {
        assert!(Failure::of_status(status, None).is_some(), "{status}");
    }
    for status in [200, 206, 301, 400, 401, 403, 404, 405, 410, 416, 418, 501, 505, 511, 600] {
        assert_eq!(Failure::of_status(status, None), None, "{status}");
    }
    let authorization = Fault::Proxy("proxy authorization required".to_owned());
    for (fault, expected) in [
        (Fault::TimedOut, true),
        (Fault::Closed, true),
        (Fault::Refused, true),
        (Fault::NameServer, true),
        (Fault::Unreachable, true),
        (Fault::Proxy("unsuccessful".to_owned()), true),
        (authorization, false),
        (Fault::UnknownHost, false),
        (Fault::UnknownAuthority, false),
        (Fault::Expired, false),
        (Fault::NotTls, false),
        (Fault::Tls("handshake".to_owned()), false),
        (Fault::Other("odd".to_owned()), false),
    ] {
        assert_eq!(fault.is_passing(), expected, "{fault}");
    }
}

#[test]
fn waits_double_and_jitter_takes_up_to_half_of_each() {
    let (one, ..) = patience(1);
    let chosen = waits(&one, &Failure::Unanswered(Fault::TimedOut));
    assert_eq!(chosen.len(), 4, "five attempts have four waits between them");
    for (number, wait) in chosen.iter().enumerate() {
        let full = seconds(1 << number);
        assert!(*wait >= full / 2 && *wait <= full, "{number}: {wait:?}");
    }
    let again = |seed| waits(&patience(seed).0, &Failure::Unanswered(Fault::TimedOut));
    assert_eq!(chosen, again(1), "the seed decides");
    assert_ne!(chosen, again(2));
}

#[test]
fn an_outage_is_waited_out_until_the_deadline_and_a_wrong_address_is_not() {
    let refused = Failure::Unanswered(Fault::Refused);
    let (fresh, ..) = patience(0);
    assert_eq!(waits(&fresh, &refused).len(), 4, "nobody ever answered there");
    for (failure, has_answered) in [
        (refused.clone(), true),
        (Failure::Unanswered(Fault::TimedOut), true),
        (Failure::Unanswered(Fault::NameServer), false),
        (Failure::Unanswered(Fault::Unreachable), false),
    ] {
        let (patience, ..) = patience(0);
        if has_answered {
            patience.attempts().succeeded("r.lan");
        }
        let waited: Duration = waits(&patience, &failure).iter().sum();
        assert!(waited > seconds(560) && waited <= seconds(600), "{failure}: {waited:?}");
    }
    // Another place is asked instead; what answers, but not with what is wanted, is there; and --retries 0 means it.
    let (answers, ..) = patience(0);
    answers.attempts().succeeded("r.lan");
    assert_eq!(waits(&answers, &answered(503)).len(), 4);
    let mut one_of_several = answers.attempts().with_others(true);
    assert_eq!(std::iter::from_fn(|| one_of_several.next("r.lan", &refused)).count(), 4);
    let once = RetryPolicy { attempts: 1, ..answers.policy.clone() };
    let once = Arc::new(Patience::new(once));
    once.attempts().succeeded("r.lan");
    assert!(waits(&once, &Failure::Unanswered(Fault::NameServer)).is_empty());
}

#[test]
fn what_a_server_asks_for_wins_over_the_wait_that_would_be_chosen() {
    let (patience, clock, heard) = patience(0);
    let wanted = Failure::of_status(429, Some(seconds(20))).unwrap();
    assert_eq!(waits(&patience, &wanted), [seconds(20); 4]);
    assert_eq!(clock.now(), seconds(80));
    let first = Event::Retrying {
        host: "r.lan".to_owned(),
        reason: "429".to_owned(),
        wait: seconds(20),
        attempt: 2,
        attempts: Some(5),
    };
    assert_eq!(heard.0.lock().unwrap()[0], first);
}

#[test]
fn dates_are_compared_with_the_date_of_the_answer() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (value, date, expected) in [
        ("120", None, Some(120)),
        (" 0 ", None, Some(0)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(DATE), Some(30)),
        ("Sunday, 06-Nov-94 08:50:07 GMT", Some(DATE), Some(30)),
        ("Sun Nov  6 08:50:07 1994", Some(DATE), Some(30)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(DATE), Some(0)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some("yesterday"), None),
        ("soon", Some(DATE), None),
        ("-1", Some(DATE), None),
        ("1.5", Some(DATE), None),
    ] {
        assert_eq!(retry_after(value, date), expected.map(seconds), "{value}");
    }
    assert_eq!(retry_after("18446744073709551615", None), Some(Duration::from_secs(u64::MAX)));
}

#[test]
fn a_wait_that_would_end_after_the_deadline_is_not_begun() {
    let (patience, clock, heard) = patience(0);
    for wanted in [seconds(601), Duration::MAX] {
        assert!(waits(&patience, &Failure::of_status(429, Some(wanted)).unwrap()).is_empty());
    }
    assert_eq!(clock.now(), Duration::ZERO);
    assert_eq!(*heard.0.lock().unwrap(), []);
    // Nobody else asks that host either; other hosts are asked at once.
    assert!(patience.attempts().enter("r.lan").unwrap_err() > seconds(600));
    patience.attempts().enter("other.lan").unwrap();
    assert_eq!(clock.now(), Duration::ZERO);
}

#[test]
fn a_host_that_wants_to_be_left_alone_is_left_alone_by_all() {
    let (patience, clock, heard) = patience(0);
    let mut one = patience.attempts();
    assert_eq!(one.next("r.lan", &Failure::of_status(503, Some(seconds(7))).unwrap()), Some(seconds(7)));
    // Whoever was under way fails too, and says nothing new.
    patience.attempts().next("r.lan", &answered(503)).unwrap();
    patience.attempts().enter("r.lan").unwrap();
    assert_eq!(clock.now(), seconds(7));
    assert_eq!(heard.0.lock().unwrap().len(), 1);
    // What is wrong with one thing is not wrong with its host.
    patience.attempts().next("r.lan", &answered(500)).unwrap();
    patience.attempts().next("r.lan", &Failure::BrokenOff(Fault::Closed)).unwrap();
    patience.attempts().enter("r.lan").unwrap();
    assert_eq!(clock.now(), seconds(7));
}

#[test]
fn the_first_wait_after_a_body_that_broke_off_is_none_and_progress_counts_anew() {
    let (patience, ..) = patience(0);
    let broken = Failure::BrokenOff(Fault::Closed);
    let mut attempts = patience.attempts();
    for _ in 0..10 {
        assert_eq!(attempts.next("r.lan", &broken), Some(Duration::ZERO));
        assert!(attempts.next("r.lan", &broken).unwrap() >= seconds(1));
        attempts.progressed();
    }
    assert_eq!(waits(&patience, &broken).len(), 4);
}

#[test]
fn a_host_has_only_so_many_requests_at_once_and_half_after_429() {
    let (patience, ..) = patience(0);
    let enter = || patience.attempts().enter("r.lan").unwrap();
    let limit = || lock(&patience.host("r.lan").state).limit;
    assert_eq!(limit(), 32);
    patience.attempts().next("r.lan", &Failure::of_status(429, Some(Duration::ZERO)).unwrap());
    assert_eq!(limit(), 16);
    let running = || lock(&patience.host("r.lan").state).running.len();
    std::thread::scope(|scope| {
        let entered = std::sync::mpsc::channel();
        for _ in 0..17 {
            let entered = entered.0.clone();
            scope.spawn(move || entered.send(enter()).unwrap());
        }
        let mut places: Vec<Place> = entered.1.iter().take(16).collect();
        assert_eq!(running(), 16);
        assert!(entered.1.try_recv().is_err(), "the last one waits");
        places.pop();
        places.push(entered.1.recv().unwrap());
        assert_eq!(running(), 16);
    });
    assert_eq!(running(), 0);
    patience.attempts().succeeded("r.lan");
    assert_eq!(limit(), 17);
}

#[test]
fn who_has_a_place_at_a_host_never_waits_for_another_one_there() {
    let (patience, ..) = patience(0);
    for _ in 0..6 {
        patience.attempts().next("r.lan", &Failure::of_status(429, Some(Duration::ZERO)).unwrap());
    }
    assert_eq!(lock(&patience.host("r.lan").state).limit, 1);
    let one = patience.attempts().enter("r.lan").unwrap();
    drop((patience.attempts().enter("r.lan").unwrap(), one));
    assert!(lock(&patience.host("r.lan").state).running.is_empty());
}
