//! The query-string form.

use super::*;
use proptest::{collection::vec, prelude::*, sample::select};

/// Of a POST to `example.amazonaws.com` with an empty body, made from the specification.
const POST_SIGNATURE: &str = "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b";
/// The same that doesn't say for how long it is good.
const UNENDING_SIGNATURE: &str = "caa296951ae2b86ffa8f57409a77f0eb49851df8716956a88b813521755ce29c";

/// The parameters of the presigned POST.
fn parameters() -> Vec<(&'static str, String)> {
    [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", "AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request"),
        ("X-Amz-Date", "20150830T123600Z"),
        ("X-Amz-Expires", "3600"),
        ("X-Amz-SignedHeaders", "host"),
        ("X-Amz-Signature", POST_SIGNATURE),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn presigned(parameters: &[(&str, String)]) -> Request<()> {
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let uri = format!("/?{}", query.join("&"));
    Request::post(uri).header("host", "example.amazonaws.com").body(()).unwrap()
}

fn outcome(request: &Request<()>, now_ms: u64) -> Result<String, (ErrorKind, String)> {
    check(&verifier("service"), request, EMPTY, now_ms).map_err(|error| (error.kind, error.message))
}

/// The refusal of the presigned POST with another value for a parameter; without it where there is none.
fn refused(name: &str, value: Option<&str>) -> (ErrorKind, String) {
    let mut parameters = parameters();
    let place = parameters.iter().position(|(known, _)| *known == name).unwrap();
    match value {
        Some(value) => parameters[place].1 = value.to_owned(),
        None => drop(parameters.remove(place)),
    }
    outcome(&presigned(&parameters), SUITE_MS).unwrap_err()
}

#[test]
fn the_presigned_url_of_the_reference_verifies() {
    let uri = "/?Action=ListUsers&Version=2010-05-08&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE\
        %2F20150830%2Fus-east-1%2Fiam%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders\
        =content-type%3Bhost&X-Amz-Signature=37ac2f4fde00b0ac9bd9eadeb459b1bbee224158d66e7ae5fcadb70b2d181d02";
    let request = Request::get(uri)
        .header("host", "iam.amazonaws.com")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let account = check(&verifier("iam"), &request.body(()).unwrap(), EMPTY, SUITE_MS);
    assert_eq!(account.unwrap(), "game");
}

#[test]
fn a_presigned_request_is_good_for_as_long_as_it_says_and_no_longer() {
    let request = presigned(&parameters());
    assert_eq!(outcome(&request, SUITE_MS + 60 * MINUTE_MS).unwrap(), "game");
    assert_eq!(outcome(&request, SUITE_MS - 15 * MINUTE_MS).unwrap(), "game");
    let (kind, message) = outcome(&request, SUITE_MS + 61 * MINUTE_MS).unwrap_err();
    assert_eq!(kind, ErrorKind::InvalidSignatureException);
    assert_eq!(
        message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T133700Z - 60 min.)"
    );
    let (kind, message) = outcome(&request, SUITE_MS - 16 * MINUTE_MS).unwrap_err();
    assert_eq!(kind, ErrorKind::InvalidSignatureException);
    assert!(message.starts_with("Signature not yet current"), "{message}");
}

#[test]
fn one_that_does_not_say_for_how_long_is_good_for_fifteen_minutes() {
    let mut parameters = parameters();
    parameters.retain(|(name, _)| *name != "X-Amz-Expires");
    parameters.last_mut().unwrap().1 = UNENDING_SIGNATURE.to_owned();
    let request = presigned(&parameters);
    assert!(outcome(&request, SUITE_MS + 15 * MINUTE_MS).is_ok());
    assert!(outcome(&request, SUITE_MS + 16 * MINUTE_MS).is_err());
}

#[test]
fn nothing_can_be_added_to_a_presigned_request_or_changed_in_it() {
    let mut more = parameters();
    more.push(("Limit", "5".to_owned()));
    let longer = refused("X-Amz-Expires", Some("604800"));
    for (kind, message) in [outcome(&presigned(&more), SUITE_MS).unwrap_err(), longer] {
        assert_eq!(kind, ErrorKind::InvalidSignatureException);
        assert!(message.starts_with("The request signature we calculated does not match"), "{message}");
    }
    let mut request = presigned(&parameters());
    set(&mut request, "x-amz-target", "DynamoDB_20120810.DeleteTable");
    let (_, message) = outcome(&request, SUITE_MS).unwrap_err();
    assert_eq!(message, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");
}

#[test]
fn missing_and_repeated_parameters_are_named() {
    for name in ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"] {
        for value in [None, Some("")] {
            let (kind, message) = refused(name, value);
            assert_eq!(kind, ErrorKind::IncompleteSignatureException);
            let expected =
                format!("AWS query-string parameters must include '{name}'. Re-examine the query-string parameters.");
            assert_eq!(message, expected);
        }
        let mut twice = parameters();
        twice.push((name, "x".to_owned()));
        let (kind, message) = outcome(&presigned(&twice), SUITE_MS).unwrap_err();
        assert_eq!(kind, ErrorKind::IncompleteSignatureException);
        assert!(message.contains(&format!("'{name}' only once")), "{message}");
    }
    let (kind, _) = refused("X-Amz-Algorithm", None);
    assert_eq!(kind, ErrorKind::MissingAuthenticationTokenException);
    let all = outcome(&presigned(&[("X-Amz-Algorithm", String::new())]), SUITE_MS).unwrap_err().1;
    assert_eq!(
        all,
        "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include \
         'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters \
         must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the \
         query-string parameters."
    );
}

#[test]
fn a_span_that_is_none_or_longer_than_seven_days_is_refused() {
    for span in ["", "0", "-1", "604801", "99999999999", "1h", "%2B5"] {
        let (kind, message) = refused("X-Amz-Expires", Some(span));
        assert_eq!(kind, ErrorKind::IncompleteSignatureException, "{span}");
        assert!(message.starts_with("'X-Amz-Expires' must be a number of seconds from 1 to 604800."), "{message}");
    }
}

#[test]
fn a_wrong_algorithm_date_or_scope_is_refused_as_it_is_in_a_header() {
    let (kind, message) = refused("X-Amz-Algorithm", Some("AWS4-HMAC-SHA1"));
    assert_eq!(kind, ErrorKind::IncompleteSignatureException);
    assert!(message.starts_with("Unsupported AWS 'algorithm'"), "{message}");
    assert_eq!(refused("X-Amz-Date", Some("2015")).0, ErrorKind::IncompleteSignatureException);
    assert_eq!(refused("X-Amz-Credential", Some("a%2Fb")).0, ErrorKind::IncompleteSignatureException);
    let other = "AKIDEXAMPLE%2F20150830%2Fmars%2Fservice%2Faws4_request";
    assert_eq!(refused("X-Amz-Credential", Some(other)).0, ErrorKind::InvalidSignatureException);
    let unknown = "AKIDOTHER%2F20150830%2Fus-east-1%2Fservice%2Faws4_request";
    assert_eq!(refused("X-Amz-Credential", Some(unknown)).0, ErrorKind::UnrecognizedClientException);
    assert_eq!(
        refused("X-Amz-SignedHeaders", Some("date")).1,
        "'Host' must be a 'SignedHeader' in the AWS Authorization."
    );
}

#[test]
fn a_session_token_in_the_query_string_is_unrecognized() {
    let mut parameters = parameters();
    parameters.push(("X-Amz-Security-Token", "token".to_owned()));
    let (kind, message) = outcome(&presigned(&parameters), SUITE_MS).unwrap_err();
    assert_eq!(kind, ErrorKind::UnrecognizedClientException);
    assert_eq!(message, "The security token included in the request is invalid.");
}

#[test]
fn a_signature_in_both_places_or_twice_in_one_is_refused() {
    let mut request = presigned(&parameters());
    set(&mut request, "authorization", &authorization(SUITE_CREDENTIAL, "host"));
    let (kind, message) = outcome(&request, SUITE_MS).unwrap_err();
    assert_eq!(kind, ErrorKind::InvalidSignatureException);
    assert_eq!(message, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
    let (kind, _) = refusal(|request| {
        let second = authorization(SUITE_CREDENTIAL, "host;x-amz-date").parse().unwrap();
        request.headers_mut().append("authorization", second);
    });
    assert_eq!(kind, ErrorKind::IncompleteSignatureException);
}

#[test]
fn where_any_signature_will_do_a_presigned_one_and_its_token_do_too() {
    let verifier = Verifier::new("local".into(), Authentication::AcceptAny { account: "local".into() });
    let mut parameters = parameters();
    parameters.push(("X-Amz-Security-Token", "token".to_owned()));
    assert_eq!(check(&verifier, &presigned(&parameters), b"whatever", 0).unwrap(), "local");
}

/// Pieces that the parsers look for, in any order, and others.
fn piece() -> impl Strategy<Value = String> {
    let known = select(vec![
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "AWS4-HMAC-SHA256",
        "AWS4-",
        "Credential",
        "SignedHeaders",
        "Signature",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
        "AKIDEXAMPLE",
        "host",
        "x-amz-date",
        "20150830T123600Z",
        "3600",
        "00",
        "=",
        "&",
        ",",
        " ",
        ";",
        "/",
        "%",
        "%2",
        "%2F",
        "%zz",
        "%FF",
        "+",
        "?",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => "[ -~]{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_sent_for_a_signature_is_refused_without_a_panic(
        query in vec(piece(), 0..24),
        header in proptest::option::of(vec(piece(), 0..24)),
        date in proptest::option::of(piece()),
    ) {
        let Ok(uri) = format!("/?{}", query.concat().replace([' ', '"', '<', '>', '`', '#'], "")).parse::<Uri>() else {
            return Ok(());
        };
        let mut request = Request::post(uri).header("host", "example.amazonaws.com");
        if let Some(header) = header {
            request = request.header("authorization", header.concat());
        }
        if let Some(date) = date {
            request = request.header("x-amz-date", date);
        }
        let Ok(request) = request.body(()) else { return Ok(()) };
        prop_assert!(check(&verifier("service"), &request, EMPTY, SUITE_MS).is_err());
    }

    #[test]
    fn what_is_encoded_anew_stays_as_it_is(raw in "[ -~]{0,40}") {
        let once = query::recoded(&raw);
        prop_assert_eq!(query::recoded(&once), once);
    }
}
