//! The header form.

mod presigned;

use super::*;
use hyper::Request;
use std::collections::HashMap;

/// 2015-08-30T12:36:00Z, when AWS's published test suite was signed.
const SUITE_MS: u64 = 1_440_938_160_000;
const MINUTE_MS: u64 = 60_000;
const SUITE_KEY: &str = "AKIDEXAMPLE";
const EMPTY: &[u8] = b"";

struct Keys(HashMap<&'static str, Arc<AccessKey>>);

impl Credentials for Keys {
    fn access_key(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.0.get(id).cloned()
    }
}

fn verifier(service: &'static str) -> Verifier {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned();
    let key = Arc::new(AccessKey { account: "game".into(), secret });
    Verifier {
        region: "us-east-1".into(),
        service,
        authentication: Authentication::Verify(Arc::new(Keys(HashMap::from([(SUITE_KEY, key)])))),
        keys: SigningKeys::default(),
    }
}

struct Suite {
    method: &'static str,
    uri: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    signed: &'static str,
    body: &'static [u8],
    signature: &'static str,
}

/// Requests and signatures of AWS's published Signature Version 4 test suite.
fn suite() -> Vec<Suite> {
    let host = ("host", "example.amazonaws.com");
    let date = ("x-amz-date", "20150830T123600Z");
    let plain = |method, uri, signature| Suite {
        method,
        uri,
        headers: vec![host, date],
        signed: "host;x-amz-date",
        body: EMPTY,
        signature,
    };
    vec![
        plain("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        plain("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        plain(
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        Suite {
            method: "GET",
            uri: "/",
            headers: vec![host, ("my-header1", " value1"), ("my-header2", " \"a   b   c\""), date],
            signed: "host;my-header1;my-header2;x-amz-date",
            body: EMPTY,
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        },
        Suite {
            method: "POST",
            uri: "/",
            headers: vec![("content-type", "application/x-www-form-urlencoded"), host, date],
            signed: "content-type;host;x-amz-date",
            body: b"Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        },
    ]
}

fn request(case: &Suite, credential: &str) -> Request<()> {
    let mut builder = Request::builder().method(case.method).uri(case.uri);
    for (name, value) in &case.headers {
        builder = builder.header(*name, *value);
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={}, Signature={}",
        case.signed, case.signature
    );
    builder.header("authorization", authorization).body(()).unwrap()
}

const SUITE_CREDENTIAL: &str = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";

fn check(verifier: &Verifier, request: &Request<()>, body: &[u8], now_ms: u64) -> Result<String, ServiceError> {
    let parts = SignedParts { method: request.method(), uri: request.uri(), headers: request.headers() };
    let claim = verifier.claim(parts, now_ms)?;
    verifier.verify(&claim, parts, &digest::digest(&digest::SHA256, body))?;
    Ok(claim.account().to_owned())
}

fn refusal(change: impl FnOnce(&mut Request<()>)) -> (ErrorKind, String) {
    let mut request = request(&suite()[1], SUITE_CREDENTIAL);
    change(&mut request);
    let error = check(&verifier("service"), &request, EMPTY, SUITE_MS).unwrap_err();
    (error.kind, error.message)
}

fn set(request: &mut Request<()>, name: &'static str, value: &str) {
    request.headers_mut().insert(name, value.parse().unwrap());
}

fn authorization(credential: &str, signed: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature=00")
}

#[test]
fn the_published_test_suite_verifies() {
    for case in suite() {
        let account = check(&verifier("service"), &request(&case, SUITE_CREDENTIAL), case.body, SUITE_MS);
        assert_eq!(account.unwrap(), "game", "{} {}", case.method, case.uri);
    }
}

#[test]
fn another_body_does_not_verify_and_the_strings_are_shown() {
    let case = &suite()[4];
    let error = check(&verifier("service"), &request(case, SUITE_CREDENTIAL), b"Param1=value2", SUITE_MS).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSignatureException);
    assert!(error.message.starts_with("The request signature we calculated does not match"), "{error}");
    assert!(error.message.contains("20150830/us-east-1/service/aws4_request"), "{error}");
    assert!(!error.message.contains("wJalr"));
}

#[test]
fn a_changed_secret_takes_effect_at_once() {
    let keys = SigningKeys::default();
    let scope = authorization::Scope {
        key_id: SUITE_KEY,
        date: "20150830",
        region: "us-east-1",
        service: "dynamodb",
        terminator: "aws4_request",
    };
    let key = |secret: &str| Arc::new(AccessKey { account: "game".into(), secret: secret.into() });
    let tag = |derived: &keys::Derived| hmac::sign(&derived.key, b"x").as_ref().to_vec();
    let (old, new) = (key("old"), key("new"));
    let first = tag(&keys.get(SUITE_KEY, &old, &scope));
    assert_eq!(first, tag(&keys.get(SUITE_KEY, &old, &scope)));
    assert_ne!(first, tag(&keys.get(SUITE_KEY, &new, &scope)));
}

#[test]
fn a_signature_is_good_for_fifteen_minutes_either_way() {
    let case = &suite()[1];
    let at = |now_ms| check(&verifier("service"), &request(case, SUITE_CREDENTIAL), EMPTY, now_ms);
    assert!(at(SUITE_MS + 15 * MINUTE_MS).is_ok());
    assert!(at(SUITE_MS - 15 * MINUTE_MS).is_ok());
    assert_eq!(
        at(SUITE_MS + 16 * MINUTE_MS).unwrap_err().message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 min.)"
    );
    assert_eq!(
        at(SUITE_MS - 16 * MINUTE_MS).unwrap_err().message,
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T122000Z + 15 min.)"
    );
}

#[test]
fn no_authorization_or_one_of_another_kind_is_a_missing_token() {
    for change in [None, Some("Basic YTpi")] {
        let (kind, message) = refusal(|request| {
            request.headers_mut().remove("authorization");
            if let Some(value) = change {
                set(request, "authorization", value);
            }
        });
        assert_eq!(kind, ErrorKind::MissingAuthenticationTokenException);
        assert_eq!(message, "Request is missing Authentication Token");
    }
}

#[test]
fn missing_parts_are_named() {
    let (kind, message) = refusal(|request| {
        set(request, "authorization", "AWS4-HMAC-SHA256 Signature=b");
        request.headers_mut().remove("x-amz-date");
    });
    assert_eq!(kind, ErrorKind::IncompleteSignatureException);
    assert_eq!(
        message,
        "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' \
         parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
         Authorization=AWS4-HMAC-SHA256 Signature=b"
    );
    let (_, message) = refusal(|request| set(request, "authorization", "AWS4-HMAC-SHA256 Credential"));
    assert!(message.starts_with("'Credential' not a valid key=value pair (missing equal-sign)"), "{message}");
}

#[test]
fn a_date_that_is_none_is_refused() {
    for date in ["201", "20150830T123600", "20151330T123600Z", "20150830T 23600Z"] {
        let (kind, message) = refusal(|request| set(request, "x-amz-date", date));
        assert_eq!(kind, ErrorKind::IncompleteSignatureException);
        assert!(
            message.starts_with("Date must be in ISO-8601 'basic format'. Got '2015") || date == "201",
            "{message}"
        );
    }
}

#[test]
fn host_and_every_amz_header_must_be_signed() {
    let (kind, message) =
        refusal(|request| set(request, "authorization", &authorization(SUITE_CREDENTIAL, "x-amz-date")));
    assert_eq!(kind, ErrorKind::InvalidSignatureException);
    assert_eq!(message, "'Host' must be a 'SignedHeader' in the AWS Authorization.");
    let (_, message) = refusal(|request| set(request, "x-amz-target", "DynamoDB_20120810.GetItem"));
    assert_eq!(message, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");
}

/// What is signed is written out, and again in the error: one header named a thousand times would be a thousand of it.
#[test]
fn each_signed_header_is_named_once_and_only_so_many_are() {
    let repeated = format!("host;x-amz-date{}", ";x".repeat(1_000));
    let twice = "host;x-amz-date;X;x".to_owned();
    let many = (0..100).fold("host;x-amz-date".to_owned(), |names, index| names + &format!(";x{index}"));
    for signed in [repeated, twice, many] {
        let (kind, message) = refusal(|request| {
            set(request, "x", &"v".repeat(1_000));
            set(request, "authorization", &authorization(SUITE_CREDENTIAL, &signed));
        });
        assert!(message.len() < 200, "{} bytes", message.len());
        assert_eq!(kind, ErrorKind::IncompleteSignatureException);
        assert_eq!(message, "'SignedHeaders' must name each header once, and no more than 100 of them.");
    }
}

#[test]
fn every_wrong_element_of_the_scope_is_named() {
    let credential = "AKIDEXAMPLE/20150831/mars/s3/aws5";
    let (kind, message) =
        refusal(|request| set(request, "authorization", &authorization(credential, "host;x-amz-date")));
    assert_eq!(kind, ErrorKind::InvalidSignatureException);
    assert_eq!(
        message,
        "Credential should be scoped to a valid region, not 'mars'. Credential should be scoped to correct service: \
         'service'. Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. Date in \
         Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150831' != '20150830', \
         from '20150830T123600Z'."
    );
    let (kind, _) = refusal(|request| set(request, "authorization", &authorization("a/b/c/d", "host;x-amz-date")));
    assert_eq!(kind, ErrorKind::IncompleteSignatureException);
}

#[test]
fn an_unknown_key_and_a_session_token_are_unrecognized() {
    let unknown = "AKIDOTHER/20150830/us-east-1/service/aws4_request";
    let (kind, _) = refusal(|request| set(request, "authorization", &authorization(unknown, "host;x-amz-date")));
    assert_eq!(kind, ErrorKind::UnrecognizedClientException);
    let (kind, _) = refusal(|request| {
        set(request, "authorization", &authorization(SUITE_CREDENTIAL, "host;x-amz-date;x-amz-security-token"));
        set(request, "x-amz-security-token", "token");
    });
    assert_eq!(kind, ErrorKind::UnrecognizedClientException);
}

#[test]
fn another_algorithm_is_unsupported() {
    let (kind, message) = refusal(|request| {
        let value = authorization(SUITE_CREDENTIAL, "host;x-amz-date").replace("SHA256", "SHA25");
        set(request, "authorization", &value);
    });
    assert_eq!(kind, ErrorKind::IncompleteSignatureException);
    assert_eq!(message, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ");
}

#[test]
fn any_credentials_still_need_the_headers_shape() {
    let verifier = Verifier::new("local".into(), Authentication::AcceptAny { account: "local".into() });
    let mut signed = request(&suite()[1], "anything/20150830/x/y/aws4_request");
    assert_eq!(check(&verifier, &signed, b"whatever", SUITE_MS).unwrap(), "local");
    signed.headers_mut().remove("authorization");
    let error = check(&verifier, &signed, EMPTY, SUITE_MS).unwrap_err();
    assert_eq!(error.kind, ErrorKind::MissingAuthenticationTokenException);
}

#[test]
fn the_http_form_of_the_date_header_will_do() {
    let headers = HeaderMap::from_iter([(hyper::header::DATE, "Sun, 30 Aug 2015 12:36:00 GMT".parse().unwrap())]);
    assert_eq!(SignedDate::of(&authorization::Form::Header, &headers).unwrap().text(), "20150830T123600Z");
}
