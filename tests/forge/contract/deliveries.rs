//! Deliveries: who gets in, and what is understood.

use http::header::CONTENT_TYPE;
use refward::domain::{Change, ConnectionId};
use refward::forge::{Content, Delivery, Rejected, Signer};

use super::{Dialect, Letter, Said};
use crate::secret;

every_forge! {
    only_who_knows_a_secret_gets_in,
    secrets_can_be_rotated_and_shared,
    a_redelivery_has_the_same_id,
    a_push_says_what_moved_and_who_did_it,
    a_rename_is_followed_by_id,
    what_nobody_has_heard_of_is_ignored,
}

fn read(dialect: &dyn Dialect, number: u64, said: Said) -> Delivery {
    let (forge, letter) = (dialect.forge(), dialect.letter(number, said, "s3cret"));
    let Ok(verified) = forge.verify(letter.posted(), &[secret(1, "s3cret")]) else { panic!("it is refused") };
    forge.read(&verified).unwrap()
}

async fn only_who_knows_a_secret_gets_in(dialect: &dyn Dialect) {
    let forge = dialect.forge();
    let good = dialect.letter(1, Said::Pushed, "s3cret");
    let refused = |letter: &Letter, secrets: &[(i64, &str)]| {
        let secrets: Vec<_> = secrets.iter().map(|(id, text)| secret(*id, text)).collect();
        assert_eq!(forge.verify(letter.posted(), &secrets).err(), Some(Rejected::Unauthenticated));
    };
    assert!(forge.verify(good.posted(), &[secret(1, "s3cret")]).is_ok());
    refused(&good, &[(1, "other")]);
    refused(&good, &[]);
    refused(&dialect.letter(1, Said::Pushed, ""), &[(1, "")]);
    for proof in dialect.proofs() {
        let mut bad = good.clone();
        bad.headers.remove(*proof);
        // Nothing else that is wrong with a request is told to a stranger.
        bad.headers.remove(CONTENT_TYPE);
        refused(&bad, &[(1, "s3cret")]);
        for wrong in ["", "zz", "Basic", "Basic Og==", "sha256=00"] {
            bad.headers.insert(*proof, wrong.parse().unwrap());
            refused(&bad, &[(1, "s3cret")]);
        }
    }
    let mut tampered = good.clone();
    tampered.body = [b"{", &good.body[..]].concat().into();
    if dialect.signs_bodies() {
        refused(&tampered, &[(1, "s3cret")]);
    }
    if good.key.is_some() {
        for key in [None, Some(String::new()), dialect.letter(1, Said::Pushed, "s3cret").key] {
            refused(&Letter { key, ..good.clone() }, &[(1, "s3cret")]);
        }
    }
}

async fn secrets_can_be_rotated_and_shared(dialect: &dyn Dialect) {
    let forge = dialect.forge();
    for used in ["old", "new"] {
        let letter = dialect.letter(1, Said::Pushed, used);
        let secrets = [secret(1, "old"), secret(1, "new"), secret(2, used), secret(3, "else")];
        let Ok(verified) = forge.verify(letter.posted(), &secrets) else { panic!("{used} is refused") };
        assert_eq!(verified.signers(), [1, 2].map(|id| Signer::Connection(ConnectionId(id))));
        assert_eq!(verified.body(), &letter.body);
    }
}

async fn a_redelivery_has_the_same_id(dialect: &dyn Dialect) {
    let once = read(dialect, 7, Said::Pushed);
    assert_eq!(once, read(dialect, 7, Said::Pushed));
    assert_ne!(once.id, read(dialect, 8, Said::Pushed).id);
}

async fn a_push_says_what_moved_and_who_did_it(dialect: &dyn Dialect) {
    let Content::Events(events) = read(dialect, 1, Said::Pushed).content else { panic!("no events") };
    let [event] = &events[..] else { panic!("{events:?}") };
    assert!(
        matches!(&event.change, Change::Push { name, old: Some(_), new: None, forced: false } if name.is_branch()),
        "{event:?}"
    );
    assert_eq!(event.repository.as_ref().unwrap().forge_id, dialect.told_id());
    assert!(event.actor.as_ref().unwrap().0.contains("mona"), "{event:?}");
    assert_eq!(event.at.unwrap().to_rfc3339(), "2019-05-15T15:19:51+00:00");
}

async fn a_rename_is_followed_by_id(dialect: &dyn Dialect) {
    let Content::Events(events) = read(dialect, 2, Said::Renamed).content else { panic!("no events") };
    assert_eq!(events[0].change, Change::Repository("renamed".to_owned()));
    let repository = events[0].repository.clone().unwrap();
    assert_eq!((repository.forge_id, repository.full_name), (dialect.told_id(), dialect.full_name("new")));
    assert!(repository.private, "what is not told is not taken for public");
}

async fn what_nobody_has_heard_of_is_ignored(dialect: &dyn Dialect) {
    let unheard = read(dialect, 3, Said::Unheard);
    assert_eq!((unheard.event.contains("teleported"), unheard.content), (true, Content::Ignored));
}
