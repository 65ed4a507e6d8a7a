//! Codings: which, and that what was packed comes back within its limit.

use super::{
    Coding::{Deflate, Gzip},
    *,
};
use crate::memory::budget::SMALL_BYTES;
use proptest::{collection::vec, prelude::*, sample::select};
use std::time::Duration;

const PATIENCE: Patience =
    Patience { whole: Duration::from_secs(20), room: Duration::from_secs(20), progress: Duration::from_secs(20) };

fn accepted(value: &str) -> Option<Coding> {
    Coding::of_answer(&HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]))
}

/// As DynamoDB was seen to take each of them.
#[test]
fn an_answer_is_in_the_weightiest_coding_and_the_first_of_those() {
    let cases = [
        ("", None),
        ("identity", None),
        ("br", None),
        ("x-gzip", None),
        ("gzip, deflate", Some(Gzip)),
        ("br, identity, deflate, gzip", Some(Deflate)),
        ("GZIP, identity", Some(Gzip)),
        ("dog, gzip ,, cat", Some(Gzip)),
        ("gzip;q=0.8, deflate;q=0.5", Some(Gzip)),
        ("br, gzip;q=0, deflate; q = 0.5 , identity;q=0", Some(Deflate)),
        ("*", Some(Gzip)),
        ("*, deflate;q=0.5", Some(Gzip)),
        ("*, deflate", Some(Deflate)),
        ("*, gzip;q=0.5", Some(Deflate)),
        ("*;q=0.5,identity", Some(Gzip)),
        ("gzip ;q=0", None),
        ("identity;q=0", None),
        ("*;q=0", None),
        ("br;q=0.8,identity;q=0.5,*;q=0", None),
        ("\"gzip\"", None),
        ("gzip br", None),
        ("gzip:q=1", None),
        ("gzip;q=31,deflate;q=51", Some(Gzip)),
        ("deflate;q=0.5, gzip;q=0.2", Some(Deflate)),
        ("deflate;q=0.5, gzip;q=1;q=0.2", Some(Gzip)),
        ("deflate;q=0.5,gzip;q=0.", Some(Deflate)),
        ("deflate;q=0.5,gzip;q=0.x", Some(Gzip)),
        ("deflate;q=-0.5,gzip;q=0.2", Some(Gzip)),
        ("gzip;q= 0;q=1", None),
        ("gzip;nq=1;q=0 ", None),
        ("gzip;q=0, gzip;q=1, gzip;q=0", Some(Gzip)),
        ("br,identity;q=0.5,gzip;q=0.0001", Some(Gzip)),
    ];
    for (value, coding) in cases {
        assert_eq!(accepted(value), coding, "{value}");
    }
    assert_eq!(Coding::of_answer(&HeaderMap::new()), None);
}

#[test]
fn of_several_headers_the_last_one_says_which_coding_is_accepted() {
    for (values, coding) in [(["identity", "gzip"], Some(Gzip)), (["gzip", "identity"], None)] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, value.parse().unwrap());
        }
        assert_eq!(Coding::of_answer(&headers), coding, "{values:?}");
    }
}

#[tokio::test]
async fn what_was_packed_is_unpacked_and_nothing_else_is() {
    let budget = body::budget(0);
    for (coding, other) in [(Gzip, Deflate), (Deflate, Gzip)] {
        let packed = coding.pack(b"{}".to_vec()).await.unwrap();
        assert_eq!(coding.unpack(packed.clone().into(), &budget, PATIENCE).await.unwrap().bytes, "{}");
        let cut = Bytes::from(packed[..packed.len() - 1].to_vec());
        let followed_by_half = Bytes::from([&packed[..], &cut].concat());
        let other = other.pack(b"{}".to_vec()).await.unwrap();
        for garbage in [Bytes::new(), "{}".into(), cut, followed_by_half, other.into()] {
            let error = coding.unpack(garbage.clone(), &budget, PATIENCE).await.unwrap_err();
            assert_eq!(error, BodyError::BadCoding, "{coding:?} {garbage:?}");
        }
    }
}

/// As DynamoDB was seen to take it.
#[tokio::test]
async fn what_follows_a_whole_gzip_and_is_none_is_passed_over() {
    let budget = body::budget(0);
    let one = Gzip.pack(b"{}".to_vec()).await.unwrap();
    for (packed, content) in [
        ([&one[..], b"junk"].concat(), "{}"),
        ([&one[..], &one, b"junk behind two of them"].concat(), "{}{}"),
        ([&one[..], b"j", &one].concat(), "{}"),
    ] {
        assert_eq!(Gzip.unpack(packed.into(), &budget, PATIENCE).await.unwrap().bytes, content);
    }
    let deflated = [&Deflate.pack(b"{}".to_vec()).await.unwrap()[..], b"junk"].concat();
    assert_eq!(Deflate.unpack(deflated.into(), &budget, PATIENCE).await.unwrap_err(), BodyError::BadCoding);
}

#[tokio::test]
async fn content_is_unpacked_up_to_sixteen_megabytes() {
    let budget = body::budget(0);
    for coding in [Gzip, Deflate] {
        let packed = coding.pack(vec![b' '; BODY_BYTES_MAX]).await.unwrap();
        assert!(packed.len() < 1 << 20);
        assert_eq!(coding.unpack(packed.into(), &budget, PATIENCE).await.unwrap().bytes.len(), BODY_BYTES_MAX);
        let bomb = coding.pack(vec![b' '; BODY_BYTES_MAX + 1]).await.unwrap();
        assert_eq!(coding.unpack(bomb.into(), &budget, PATIENCE).await.unwrap_err(), BodyError::TooLarge);
    }
}

#[tokio::test]
async fn gzip_of_several_members_or_with_more_than_it_claims_is_unpacked_to_the_limit() {
    let budget = body::budget(0);
    let half = Gzip.pack(vec![b' '; BODY_BYTES_MAX / 2]).await.unwrap();
    let [nothing, one] = [Gzip.pack(Vec::new()).await.unwrap(), Gzip.pack(vec![b' ']).await.unwrap()];
    let whole = [&half[..], &half, &nothing].concat();
    assert_eq!(Gzip.unpack(whole.into(), &budget, PATIENCE).await.unwrap().bytes.len(), BODY_BYTES_MAX);
    let bomb = [&half[..], &half, &one].concat();
    assert_eq!(Gzip.unpack(bomb.into(), &budget, PATIENCE).await.unwrap_err(), BodyError::TooLarge);
}

#[tokio::test]
async fn small_gzip_bodies_need_nothing_of_a_budget_that_is_spent() {
    let budget = body::budget(0);
    let _all = budget.take(budget.largest(), PATIENCE.room).await.unwrap();
    let packed = Gzip.pack(vec![b' '; SMALL_BYTES]).await.unwrap();
    assert_eq!(Gzip.unpack(packed.into(), &budget, PATIENCE).await.unwrap().bytes.len(), SMALL_BYTES);
}

/// Of one that does not say how much it is, too.
#[tokio::test]
async fn what_is_unpacked_holds_no_more_of_the_budget_than_it_needs() {
    let budget = body::budget(0);
    let all = budget.free();
    for coding in [Gzip, Deflate] {
        let [small, large] = [1_000, 5 << 20].map(|bytes| coding.pack_now(&vec![b' '; bytes]).unwrap());
        let _small = coding.unpack(small.into(), &budget, PATIENCE).await.unwrap();
        let _large = coding.unpack(large.into(), &budget, PATIENCE).await.unwrap();
        assert_eq!(budget.free(), all - (5 << 20), "{coding:?}");
    }
}

proptest! {
    #[test]
    fn any_list_of_codings_is_read_without_a_panic(value in "[gzipdeflat*,;= .0-9qQ-]{0,30}") {
        let _ = accepted(&value);
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused_without_a_panic(
        coding in select(vec![Gzip, Deflate]),
        bytes in vec(any::<u8>(), 0..200),
        content in vec(any::<u8>(), 0..200),
        change in any::<(proptest::sample::Index, u8)>(),
    ) {
        let _ = coding.unpack_now(&bytes, 100);
        let mut packed = coding.pack_now(&content).unwrap();
        let place = change.0.index(packed.len());
        packed[place] ^= change.1;
        // A change that its checksum doesn't notice is one of its header, not of its content.
        if let Ok(unpacked) = coding.unpack_now(&packed, 1_000) {
            prop_assert_eq!(unpacked, content);
        }
    }
}
