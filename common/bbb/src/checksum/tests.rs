use super::*;
use crate::{call::ApiCall, query::RawQuery};

/// The vectors in `testdata/bbb-api-vectors.json`, computed by servers and client libraries.
struct Vector {
    id: String,
    call: String,
    query: String,
    secret: Secret,
    checksums: [(ChecksumAlgorithm, String); 4],
}

fn vectors() -> Vec<Vector> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../testdata/bbb-api-vectors.json")).unwrap();
    let vectors: Vec<_> = vectors
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| {
            let text = |key: &str| vector[key].as_str().unwrap().to_owned();
            Vector {
                id: text("id"),
                call: text("call"),
                query: text("query"),
                secret: Secret::new(&text("secret")),
                checksums: ChecksumAlgorithm::ALL.map(|algorithm| (algorithm, text(algorithm.name()))),
            }
        })
        .collect();
    assert_eq!(vectors.len(), 18);
    vectors
}

#[test]
fn every_vector_signs_to_its_checksum_in_all_four_hashes() {
    for vector in vectors() {
        for (algorithm, checksum) in &vector.checksums {
            let signed = sign(*algorithm, &vector.call, &vector.query, &vector.secret);
            assert_eq!(&signed, checksum, "{} {algorithm}", vector.id);
        }
    }
}

#[test]
fn every_vector_verifies_in_either_case_and_with_several_secrets() {
    let other = Secret::new("another");
    for vector in vectors() {
        for (_, checksum) in &vector.checksums {
            for given in [checksum.clone(), checksum.to_uppercase()] {
                let holds = |secrets: &[&Secret]| {
                    verify(&vector.call, &vector.query, &given, secrets.iter().copied())
                };
                assert!(holds(&[&vector.secret]), "{}", vector.id);
                assert!(holds(&[&other, &vector.secret]), "{}", vector.id);
                assert!(!holds(&[&other]) && !holds(&[]), "{}", vector.id);
            }
        }
    }
}

#[test]
fn any_change_to_call_query_or_checksum_fails() {
    for vector in vectors() {
        for (_, checksum) in &vector.checksums {
            let holds = |call: &str, query: &str, given: &str| verify(call, query, given, [&vector.secret]);
            assert!(holds(&vector.call, &vector.query, checksum));
            assert!(!holds("other", &vector.query, checksum));
            assert!(!holds(&vector.call, &format!("{}&", vector.query), checksum));
            let mut broken = checksum.clone();
            let last = if broken.pop() == Some('0') { '1' } else { '0' };
            broken.push(last);
            assert!(!holds(&vector.call, &vector.query, &broken));
            assert!(!holds(&vector.call, &vector.query, &checksum[..checksum.len() - 1]));
            assert!(!holds(&vector.call, &vector.query, &format!("{}zz", &checksum[2..])));
        }
    }
}

/// Every position of a checksum in a query, for every hash.
#[test]
fn checksums_verify_wherever_they_stand() {
    let placements = [
        ("V2", "checksum=C"),
        ("V2", "&checksum=C"),
        ("V3", "checksum=C&meetingID=room-42"),
        ("V3", "meetingID=room-42&checksum=C"),
        (
            "V10",
            "&redirect=true&existingUserID=w_abc123def456&role=MODERATOR&fullName=teacher%2B1&meetingID=room-42&checksum=C",
        ),
        ("V12", "meetingID=x&checksum=C&meetingID=y"),
        ("V13", "meetingID=room-42&checksum=C&"),
        ("V13", "meetingID=room-42&&checksum=C"),
        ("V14", "checksum=C"),
    ];
    let vectors = vectors();
    for (id, placement) in placements {
        let vector = vectors.iter().find(|vector| vector.id == id).unwrap();
        for (_, checksum) in &vector.checksums {
            let query = placement.replace("=C", &format!("={checksum}"));
            let signed = RawQuery::new(&query).take_checksum().unwrap();
            assert_eq!(signed.query, vector.query, "{id} {placement}");
            assert!(verify(&vector.call, &signed.query, &signed.checksum, [&vector.secret]), "{id}");
        }
    }
}

#[test]
fn signed_queries_verify() {
    for vector in vectors() {
        for (algorithm, checksum) in &vector.checksums {
            let query = sign_query(*algorithm, &vector.call, vector.query.clone(), &vector.secret);
            assert!(query.ends_with(checksum.as_str()));
            let signed = RawQuery::new(&query).take_checksum().unwrap();
            assert_eq!((&*signed.query, &*signed.checksum), (vector.query.as_str(), checksum.as_str()));
        }
    }
}

#[test]
fn every_call_of_the_vectors_is_known_and_signed() {
    for vector in vectors() {
        let call = ApiCall::parse(&vector.call).unwrap();
        assert!(call.is_signed() && call.name() == vector.call);
    }
}

#[test]
fn algorithms_have_names_and_are_identified_by_length() {
    for algorithm in ChecksumAlgorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(algorithm.name().to_uppercase().parse(), Ok(algorithm));
        assert_eq!(ChecksumAlgorithm::from_hex_len(algorithm.hex_len()), Some(algorithm));
    }
    assert_eq!(ChecksumAlgorithm::from_hex_len(32), None);
    assert!("md5".parse::<ChecksumAlgorithm>().unwrap_err().to_string().contains("`md5`"));
}
