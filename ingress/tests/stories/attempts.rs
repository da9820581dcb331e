//! The `urls` contract over real sockets: what a program is served, what it may give back, and what
//! nobody may.

mod slow;
mod yard;

use std::time::Duration;

use fileyard_orchestrator::{
    contract::urls::Claims,
    engine::fake::http::{Sending, ask},
};
use fileyard_storage::{
    clock::Timestamp,
    id::{AttemptNo, Fence, Tenant},
    job::{EventKind, JobState, ReasonCode},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::yard::{Yard, now, reason};

#[tokio::test]
async fn a_program_fetches_its_input_and_gives_back_what_it_made() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let script = "copy\nprogress {\"fraction\": 0.5, \"message\": \"half\"}\nwrite a/b.txt A\nresult {\"n\":1}";
    let id = yard.submit(script).await;
    let job = yard.ended(&orchestrator, id).await;
    let JobState::Succeeded { result, outputs } = &job.state else { panic!("{job:#?}") };
    assert_eq!(*result, json!({"n": 1}));
    assert_eq!(outputs[0].content_type, "text/plain");
    let stored = [("a/b.txt".to_owned(), "A".to_owned()), ("script.txt".into(), script.into())];
    assert_eq!(yard.outputs(&job).await, stored);
    yard.assert_nothing_is_left().await;
    assert_eq!(yard.stored(id).await, 2);
}

#[tokio::test]
async fn progress_is_in_the_job_while_it_runs() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = yard.address(id, "PROGRESS");
    assert_eq!(ask("POST", &url, &[], b"0.25 a line").await.unwrap().status, 204);
    let said = |job: &fileyard_storage::job::Job| job.progress.is_some();
    let job = yard.tick_until(&orchestrator, id, said).await;
    let progress = job.progress.unwrap();
    assert_eq!((progress.permille, progress.message.as_deref()), (250, Some("a line")));
    for wrong in ["", "resizing", &"0.1 x".repeat(2000)] {
        assert_eq!(ask("POST", &url, &[], wrong.as_bytes()).await.unwrap().status, 422);
    }
    yard.ended(&orchestrator, id).await;
}

#[tokio::test]
async fn the_input_is_served_whole_in_part_and_not_at_all() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let script = "gate end\n# 0123456789";
    let id = yard.at_the_gate(&orchestrator, script).await;
    let url = yard.address(id, "INPUT");
    let whole = ask("GET", &url, &[], b"").await.unwrap();
    assert_eq!((whole.status, whole.text()), (200, script.to_owned()));
    assert_eq!(whole.header("content-type"), Some("text/plain"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let head = ask("HEAD", &url, &[], b"").await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&script.len().to_string()[..]));
    let etag = whole.header("etag").unwrap();
    let part = ask("GET", &url, &[("Range", "bytes=-10"), ("If-Range", etag)], b"").await.unwrap();
    assert_eq!((part.status, part.text()), (206, "0123456789".to_owned()));
    let other = ask("GET", &url, &[("Range", "bytes=0-1"), ("If-Range", "\"x\"")], b"").await;
    assert_eq!(other.unwrap().status, 200);
    assert_eq!(ask("GET", &url, &[("Range", "bytes=999-")], b"").await.unwrap().status, 416);
    yard.ended(&orchestrator, id).await;
}

#[tokio::test]
async fn an_address_is_for_its_attempt_alone_and_only_while_it_lives() {
    let mut yard = Yard::new();
    yard.processor.grace = Duration::from_secs(1);
    let orchestrator = yard.orchestrator();
    let one = yard.at_the_gate(&orchestrator, "gate end").await;
    let other = yard.at_the_gate(&orchestrator, "gate end\nstubborn").await;
    let (mine, theirs) = (yard.address(one, "INPUT"), yard.address(other, "INPUT"));
    let (base, token) = split(&mine);
    let get = async |url: &str| ask("GET", url, &[], b"").await.unwrap().status;
    let here = |token: &str| format!("{base}/v1/{token}/input");
    assert_eq!(get(&here(token)).await, 200);
    assert_eq!(get(&here(split(&theirs).1)).await, 403, "another attempt's token");
    assert_eq!(get(&here("nothing")).await, 403);
    assert_eq!(get(&here(&token[..token.len() - 1])).await, 403);
    let forged = token.replacen(&one.to_string(), &other.to_string(), 1);
    assert_eq!(get(&here(&forged)).await, 403);
    let claims = |attempt: u32, expires: Timestamp| Claims {
        tenant: Tenant::default(),
        job: one,
        attempt: AttemptNo(attempt),
        expires,
    };
    let later = now().after(Duration::from_secs(60));
    assert_eq!(get(&here(&claims(1, later).sign(&yard.key))).await, 200);
    assert_eq!(get(&here(&claims(2, later).sign(&yard.key))).await, 403, "the next attempt's");
    assert_eq!(get(&here(&claims(1, now()).sign(&yard.key))).await, 403, "an expired one");
    let mut stranger = claims(1, later);
    stranger.tenant = "other".parse().unwrap();
    assert_eq!(get(&here(&stranger.sign(&yard.key))).await, 403, "another tenant's");
    // Nothing else is there, and no answer says a token again.
    for path in ["/", "/v1", "/jobs", "/v1/x/input/more", "/healthz"] {
        assert_eq!(get(&format!("{base}{path}")).await, 404, "{path}");
    }
    let answer = ask("DELETE", &mine, &[], b"").await.unwrap();
    assert_eq!(answer.status, 405);
    assert!(!format!("{}{}", answer.head, answer.text()).contains(token));
    assert!(answer.header("access-control-allow-origin").is_none());

    // Cancelled: the row says so at once, whatever the container still does.
    yard.intake().cancel(other).await.unwrap();
    let status = ask("GET", &theirs, &[], b"").await.map_or(0, |answer| answer.status);
    assert!(matches!(status, 0 | 403), "{status}");
    yard.engine.open_gate("end");
    yard.ended(&orchestrator, one).await;
    assert!(ask("GET", &mine, &[], b"").await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn more_than_the_limits_is_refused_and_fails_the_job_whatever_it_exits_with() {
    for (sends, left) in [(vec![("a", 600), ("b", 401)], 1), (vec![("big", 1001)], 0)] {
        let yard = Yard::new();
        let orchestrator = yard.orchestrator();
        let id = yard.at_the_gate(&orchestrator, "gate end").await;
        let url = yard.address(id, "OUTPUT");
        let mut statuses = Vec::new();
        for (name, size) in &sends {
            let answer = ask("PUT", &format!("{url}/{name}"), &[], &vec![b'x'; *size]).await;
            statuses.push(answer.unwrap().status);
        }
        assert_eq!(statuses.pop(), Some(413));
        assert!(statuses.iter().all(|status| *status == 201));
        assert_eq!(yard.stored(id).await, left);
        let job = yard.ended(&orchestrator, id).await;
        assert_eq!(reason(&job), ReasonCode::OutputLimit, "{job:#?}");
        assert_eq!(yard.stored(id).await, 0, "a failed attempt keeps no output");
        yard.assert_nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_chunked_body_is_cut_where_it_passes_the_limit_and_files_are_counted() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = yard.address(id, "OUTPUT");
    let mut sending = Sending::put(&format!("{url}/endless")).await.unwrap();
    sending.more(&[b'x'; 900]).await.unwrap();
    sending.more(&[b'x'; 900]).await.unwrap();
    assert_eq!(sending.answer().await.unwrap().status, 413);
    assert_eq!(reason(&yard.ended(&orchestrator, id).await), ReasonCode::OutputLimit);

    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = yard.address(id, "OUTPUT");
    for n in 0..5 {
        let status = ask("PUT", &format!("{url}/{n}"), &[], b"x").await.unwrap().status;
        assert_eq!(status, if n < 4 { 201 } else { 413 });
    }
    assert_eq!(reason(&yard.ended(&orchestrator, id).await), ReasonCode::OutputLimit);
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn what_is_sent_again_takes_the_place_of_what_was() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = format!("{}/a", yard.address(id, "OUTPUT"));
    for n in 0..6 {
        // Each nearly fills the limit by itself.
        let body = vec![b'0' + n; 900];
        assert_eq!(ask("PUT", &url, &[], &body).await.unwrap().status, 201);
    }
    assert_eq!(yard.stored(id).await, 1);
    let bodies: Vec<_> = (0..4).map(|n| format!("{n}").repeat(20)).collect();
    let names: Vec<_> = (0..4).map(|n| format!("{url}{}", n % 2)).collect();
    let sends =
        bodies.iter().zip(&names).map(|(body, name)| ask("PUT", name, &[], body.as_bytes()));
    let answers = futures::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 201), "{answers:?}");
    let job = yard.ended(&orchestrator, id).await;
    let outputs = yard.outputs(&job).await;
    let named: Vec<_> = outputs.iter().map(|(name, content)| (&name[..], content.len())).collect();
    assert_eq!(named, [("a", 900), ("a0", 20), ("a1", 20)]);
    assert_eq!(outputs[0].1, "5".repeat(900));
    assert_eq!(yard.stored(id).await, 3);
}

#[tokio::test]
async fn an_announced_digest_is_verified() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = format!("{}/a", yard.address(id, "OUTPUT"));
    // RFC 9530, appendix B.
    let hello = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    let put = async |digest: &str, body: &[u8]| {
        ask("PUT", &url, &[("Content-Digest", digest)], body).await.unwrap().status
    };
    assert_eq!(put(hello, b"{\"hello\": \"world\"}").await, 422, "a line break is missing");
    assert_eq!(yard.stored(id).await, 0);
    assert_eq!(put("sha-256=nonsense", b"x").await, 422);
    assert_eq!(put(hello, b"{\"hello\": \"world\"}\n").await, 201);
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(yard.outputs(&job).await.len(), 1);
}

#[tokio::test]
async fn names_that_no_directory_could_hold_are_refused_and_said() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = yard.address(id, "OUTPUT");
    for bad in ["result.json", "a%0ab", "a/../b", "%2e%2e/x", "a//b", "", "a%00", "%ff"] {
        let answer = ask("PUT", &format!("{url}/{bad}"), &[], b"x").await.unwrap();
        assert_eq!(answer.status, 422, "{bad}: {}", answer.text());
    }
    for good in ["a%20b", "%C3%BC/x", "a%2Fc"] {
        assert_eq!(ask("PUT", &format!("{url}/{good}"), &[], b"x").await.unwrap().status, 201);
    }
    let job = yard.ended(&orchestrator, id).await;
    let names: Vec<_> = yard.outputs(&job).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a b", "a/c", "ü/x"]);
}

#[tokio::test]
async fn a_result_that_is_none_can_be_corrected_and_fails_the_job_if_it_is_not() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    for wrong in ["{", "", &deep, &large] {
        for corrected in [true, false] {
            let yard = Yard::new();
            let orchestrator = yard.orchestrator();
            let id = yard.at_the_gate(&orchestrator, "write a A\ngate end").await;
            let url = yard.address(id, "RESULT");
            let put =
                async |json: &str| ask("PUT", &url, &[], json.as_bytes()).await.unwrap().status;
            assert_eq!(put("1").await, 204);
            assert_eq!(put(wrong).await, 422);
            if corrected {
                assert_eq!(put("[2]").await, 204);
            }
            let job = yard.ended(&orchestrator, id).await;
            match &job.state {
                JobState::Succeeded { result, .. } if corrected => assert_eq!(*result, json!([2])),
                _ => assert_eq!((corrected, reason(&job)), (false, ReasonCode::BadOutput)),
            }
            yard.assert_nothing_is_left().await;
        }
    }
}

#[tokio::test]
async fn outputs_exist_only_on_exit_0_and_what_is_on_its_way_at_the_exit_is_cut() {
    let yard = Yard::new();
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "write a A\nresult 1\ngate end\nexit 3").await;
    assert_eq!(yard.stored(id).await, 1);
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(reason(&job), ReasonCode::Exit);
    assert_eq!(yard.stored(id).await, 0);
    yard.assert_nothing_is_left().await;

    let id = yard.submit("write a A\ngate late").await;
    yard.tick_until(&orchestrator, id, |job| job.started_at.is_some()).await;
    yard.engine.at_gate("late").await;
    let mut sending = Sending::put(&format!("{}/late", yard.address(id, "OUTPUT"))).await.unwrap();
    sending.more(b"bytes").await.unwrap();
    let broken = Sending::put(&format!("{}/broken", yard.address(id, "OUTPUT"))).await.unwrap();
    drop(broken);
    yard.engine.open_gate("late");
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(yard.outputs(&job).await, [("a".to_owned(), "A".to_owned())]);
    let answered = sending.end().await.map_or(403, |answer| answer.status);
    assert_eq!(answered, 403);
    yard.blobs.settled().await;
    assert_eq!(yard.stored(id).await, 1);
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn after_a_restart_the_addresses_work_and_earlier_outputs_stay() {
    let yard = Yard::new();
    let first = yard.orchestrator();
    let id =
        yard.at_the_gate(&first, "write a first\nwrite b first\ngate end\nwrite c second").await;
    let url = yard.address(id, "OUTPUT");
    // It goes down, as a server that is told to stop does; its listener goes with it.
    let stop = CancellationToken::new();
    stop.cancel();
    first.run(&yard.intake(), stop, Duration::from_secs(5)).await;
    assert!(ask("PUT", &format!("{url}/x"), &[], b"x").await.is_err(), "nobody is there");

    let second = yard.orchestrator();
    second.tick().await.unwrap();
    yard.tick_until(&second, id, |job| job.fence == Fence(2)).await;
    let put = async |body: &'static [u8]| loop {
        if let Ok(answer) = ask("PUT", &format!("{url}/b"), &[], body).await {
            return answer.status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(put(b"second").await, 201);
    let job = yard.ended(&second, id).await;
    let of = |name: &str, content: &str| (name.to_owned(), content.to_owned());
    assert_eq!(yard.outputs(&job).await, [of("a", "first"), of("b", "second"), of("c", "second")]);
    assert_eq!((job.attempt, yard.engine.starts(&yard.container(id, 1))), (Some(AttemptNo(1)), 1));
    assert_eq!(yard.stored(id).await, 3);
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_program_that_lost_its_server_is_run_again_and_not_blamed() {
    let yard = Yard::new();
    let first = yard.orchestrator();
    let id = yard.at_the_gate(&first, "gate end\nexit 1").await;
    let stop = CancellationToken::new();
    stop.cancel();
    first.run(&yard.intake(), stop, Duration::from_secs(5)).await;
    let second = yard.orchestrator();
    second.tick().await.unwrap();
    let job = yard.ended(&second, id).await;
    // The second attempt had its server all the time, and so is judged.
    assert_eq!((reason(&job), job.attempt), (ReasonCode::Exit, Some(AttemptNo(2))));
    assert_eq!((job.infrastructure, job.retries), (1, 0));
    let why = job.events.iter().find(|event| event.kind == EventKind::Retried).unwrap();
    assert!(why.detail.as_ref().unwrap().contains("the server was away"), "{why:?}");
    yard.assert_nothing_is_left().await;
}

/// An address's part before its path, and its token.
fn split(url: &str) -> (&str, &str) {
    let at = url.find("/v1/").expect("a path");
    (&url[..at], url[at + 4..].split('/').next().expect("a token"))
}
