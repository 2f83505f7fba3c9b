//! QUIC against whoever is not an honest peer: strangers, impostors, noise, floods, crashes.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Lab, PATIENCE, QuicLab, Station, address, linked, wait_until};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use weir_net::limits;
use weir_net::quic::QuicTransport;
use weir_net::wire::{ALPN, Hello};
use weir_net::{Channel, CloseCode, CloseReason, NetEvent, RefuseReason, SendError, TlsIdentity, Transport};

/// A client of its own making, which believes anybody and says what a test wants.
struct RawClient {
    endpoint: quinn::Endpoint,
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl RawClient {
    fn new(identity: Option<&TlsIdentity>, alpn: &[u8]) -> Self {
        let builder =
            rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Credulous));
        let mut config = match identity {
            Some(identity) => {
                let certificate = CertificateDer::from(identity.certificate_der().to_vec());
                let key = PrivatePkcs8KeyDer::from(identity.key_der().to_vec());
                builder.with_client_auth_cert(vec![certificate], key.into()).expect("a usable key")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let mut endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a socket");
        let crypto = QuicClientConfig::try_from(config).expect("a QUIC suite");
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
        Self { endpoint }
    }

    async fn connect(&self, to: SocketAddr) -> Result<quinn::Connection, quinn::ConnectionError> {
        self.endpoint.connect(to, "weir").expect("a valid address").await
    }
}

/// The bytes that open a live stream.
fn opening(hello: &Hello) -> Vec<u8> {
    let body = hello.encode();
    [&[1][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// Waits for the end of a connection and reads the code of whoever closed it.
async fn close_code(connection: &quinn::Connection) -> Option<CloseCode> {
    match tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it ends") {
        quinn::ConnectionError::ApplicationClosed(close) => {
            CloseCode::from_code(close.error_code.into_inner())
        }
        other => panic!("it ended by {other}"),
    }
}

/// Plays a registered peer that opens its live stream with the given bytes; how the node closes on it.
async fn answer_to(identity: &TlsIdentity, to: SocketAddr, bytes: Vec<u8>) -> Option<CloseCode> {
    let client = RawClient::new(Some(identity), ALPN);
    let connection = client.connect(to).await.expect("TLS accepts the key");
    let mut stream = connection.open_uni().await.expect("a stream");
    // The node may close before it has read all.
    let _ = stream.write_all(&bytes).await;
    close_code(&connection).await
}

fn refused_by_tls(station: &Station<QuicTransport>) -> bool {
    let tls = |event: &NetEvent| matches!(event, NetEvent::Refused { reason: RefuseReason::Tls(_), .. });
    station.log.iter().any(tls)
}

fn sessions(station: &Station<QuicTransport>) -> usize {
    station.log.iter().filter(|event| matches!(event, NetEvent::Connected(_))).count()
}

/// Shows that a session still carries frames.
fn still_talk(a: &mut Station<QuicTransport>, b: &mut Station<QuicTransport>, names: (u8, u8)) {
    let before = b.frames(names.0).len();
    a.send_all(names.1, Channel::Live, vec![Bytes::from_static(b"still here")], b);
    wait_until("a frame", &mut [a, b], |s| s[1].frames(names.0).len() == before + 1);
}

#[test]
fn a_stranger_is_refused() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = (Station::new(lab.start(1)), Station::new(lab.start(2)));
    a.node.set_peers(lab.peers(&[2]));
    wait_until("refusals", &mut [&mut a, &mut b], |s| refused_by_tls(s[0]) && refused_by_tls(s[1]));
    assert_eq!(sessions(&a) + sessions(&b), 0);
    let runtime = lab.runtime.handle().clone();
    let to = b.node.local_addr();
    let anonymous = runtime.block_on(async {
        let connection = RawClient::new(None, ALPN).connect(to).await?;
        Err::<(), _>(connection.closed().await)
    });
    assert!(anonymous.is_err(), "a client without certificate");
    assert!(b.node.counters().handshakes_refused >= 1);
}

#[test]
fn a_wrong_key_behind_a_right_endpoint_is_refused() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = (Station::new(lab.start(1)), Station::new(lab.start(2)));
    let mut wrong = lab.peer(2);
    wrong.tls_key_hash = lab.identity(7).key_hash();
    a.node.set_peers(vec![wrong]);
    b.node.set_peers(lab.peers(&[1]));
    wait_until("a refusal", &mut [&mut a, &mut b], |s| refused_by_tls(s[0]));
    assert_eq!(sessions(&a) + sessions(&b), 0);
    a.node.set_peers(lab.peers(&[2]));
    wait_until("the right key", &mut [&mut a, &mut b], |s| s[0].connected(2) && s[1].connected(1));
}

/// Anybody may register any key hash and endpoint; that gets nobody another's name.
#[test]
fn a_registered_copy_of_a_key_is_not_its_owner() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let mut copy = lab.peer(2);
    copy.address = address(9);
    a.node.set_peers([lab.peers(&[2]), vec![copy]].concat());
    let mismatch = |event: &NetEvent| {
        matches!(
            event,
            NetEvent::Refused {
                reason: RefuseReason::Hello(
                    CloseReason::Local(CloseCode::IdentityMismatch)
                        | CloseReason::Remote(CloseCode::IdentityMismatch)
                ),
                ..
            }
        )
    };
    wait_until("refusals", &mut [&mut a, &mut b], |s| {
        s.iter().all(|s| s.log.iter().filter(|event| mismatch(event)).count() >= 2)
    });
    still_talk(&mut a, &mut b, (1, 2));
    assert_eq!((sessions(&a), sessions(&b)), (1, 1), "the owner's session is untouched");
}

#[test]
fn noise_on_the_port_changes_nothing() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let (events_a, events_b) = (a.log.len(), b.log.len());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..2000usize {
        let bytes: Vec<u8> = (0..round % 1400)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (noise >> 56) as u8
            })
            .collect();
        let to = if round % 2 == 0 { a.node.local_addr() } else { b.node.local_addr() };
        // A full socket buffer drops noise, which is as good.
        let _ = socket.send_to(&bytes, to);
    }
    still_talk(&mut a, &mut b, (1, 2));
    still_talk(&mut b, &mut a, (2, 1));
    assert_eq!((a.log.len(), b.log.len()), (events_a + 1, events_b + 1), "one frame each, nothing else");
}

#[test]
fn another_protocol_name_is_refused() {
    let mut lab = QuicLab::default();
    let mut b = Station::new(lab.start(2));
    b.node.set_peers(lab.peers(&[1]));
    let (identity, to) = (lab.identity(1), b.node.local_addr());
    let result = lab.runtime.block_on(async { RawClient::new(Some(&identity), b"weir/2").connect(to).await });
    assert!(result.is_err());
    wait_until("a refusal", &mut [&mut b], |s| refused_by_tls(s[0]));
    assert_eq!(sessions(&b), 0);
}

#[test]
fn another_chain_is_refused() {
    let mut lab = QuicLab::default();
    let mut a = Station::new(lab.start(1));
    lab.chain_id = 1;
    let mut b = Station::new(lab.start(2));
    a.node.set_peers(lab.peers(&[2]));
    b.node.set_peers(lab.peers(&[1]));
    let other_chain = |event: &NetEvent| {
        matches!(
            event,
            NetEvent::Refused {
                reason: RefuseReason::Hello(
                    CloseReason::Local(CloseCode::ChainMismatch)
                        | CloseReason::Remote(CloseCode::ChainMismatch)
                ),
                ..
            }
        )
    };
    wait_until("refusals", &mut [&mut a, &mut b], |s| s.iter().all(|s| s.log.iter().any(other_chain)));
    assert_eq!(sessions(&a) + sessions(&b), 0);
}

#[test]
fn bad_openings_are_closed_with_their_code() {
    let mut lab = QuicLab::default();
    let mut b = Station::new(lab.start(2));
    b.node.set_peers(lab.peers(&[1, 3]));
    let (one, three, to) = (lab.identity(1), lab.identity(3), b.node.local_addr());
    let hello = Hello::new(lab.chain_id, address(1), address(2));
    let cases = [
        (&one, b"\x01\x00\x00\x00\x04weir".to_vec(), CloseCode::HelloMalformed),
        (&one, b"\x01\x7f\xff\xff\xff".to_vec(), CloseCode::HelloMalformed),
        (&one, b"\x09".to_vec(), CloseCode::StreamMisuse),
        (&one, opening(&Hello { min_version: 2, max_version: 3, ..hello }), CloseCode::VersionMismatch),
        (&one, opening(&Hello { chain_id: 5, ..hello }), CloseCode::ChainMismatch),
        (&one, opening(&Hello { max_frame_bytes: 1, ..hello }), CloseCode::LimitsRefused),
        (&one, opening(&Hello { sender: address(0), ..hello }), CloseCode::IdentityMismatch),
        (&one, opening(&Hello { recipient: address(9), ..hello }), CloseCode::IdentityMismatch),
        (&three, opening(&Hello { sender: address(1), ..hello }), CloseCode::IdentityMismatch),
        (&three, opening(&Hello { sender: address(3), ..hello }), CloseCode::WrongDialler),
    ];
    let runtime = lab.runtime.handle().clone();
    for (identity, bytes, expected) in cases {
        let code = runtime.block_on(answer_to(identity, to, bytes));
        assert_eq!(code, Some(expected));
    }
    b.pump();
    assert_eq!(sessions(&b), 0);
    assert_eq!(b.node.counters().handshakes_refused, 10);
}

#[test]
fn a_hostile_peer_hurts_only_itself() {
    let mut lab = QuicLab::default();
    let (mut b, mut c) = linked(&mut lab, 2, 3);
    b.node.set_peers(lab.peers(&[1, 3]));
    let (identity, to) = (lab.identity(1), b.node.local_addr());
    let runtime = lab.runtime.handle().clone();
    let hello = opening(&Hello::new(lab.chain_id, address(1), address(2)));
    let oversize = [&hello[..], b"\x00\x00\x00\x02ok", &u32::MAX.to_be_bytes(), &[0xff; 100]].concat();
    assert_eq!(runtime.block_on(answer_to(&identity, to, oversize)), Some(CloseCode::FrameTooLarge));
    let end = NetEvent::Disconnected(address(1), CloseReason::Local(CloseCode::FrameTooLarge));
    wait_until("its end", &mut [&mut b], |s| s[0].log.contains(&end));
    assert_eq!(b.frames(1), [&b"ok"[..]], "what came before the offence counts");
    assert_eq!(b.node.counters().sessions_misbehaved, 1);

    let ended = runtime.block_on(async {
        let connection =
            RawClient::new(Some(&identity), ALPN).connect(to).await.expect("TLS accepts the key");
        let mut live = connection.open_uni().await.expect("a stream");
        let mut bulk = connection.open_uni().await.expect("a stream");
        live.write_all(&hello).await.expect("written");
        bulk.write_all(b"\x02\x00\x00\x00\x01x").await.expect("written");
        live.finish().expect("open");
        close_code(&connection).await
    });
    assert_eq!(ended, Some(CloseCode::StreamMisuse), "streams do not end");

    still_talk(&mut b, &mut c, (2, 3));
    still_talk(&mut c, &mut b, (3, 2));
    assert_eq!(sessions(&c), 1, "the other session never ended");
}

#[test]
fn a_newer_connection_of_a_peer_replaces_the_older() {
    let mut lab = QuicLab::default();
    let mut b = Station::new(lab.start(2));
    b.node.set_peers(lab.peers(&[1]));
    let (identity, to) = (lab.identity(1), b.node.local_addr());
    let hello = opening(&Hello::new(lab.chain_id, address(1), address(2)));
    let client = lab.runtime.block_on(async { RawClient::new(Some(&identity), ALPN) });
    let open = || {
        lab.runtime.block_on(async {
            let connection = client.connect(to).await.expect("TLS accepts the key");
            let mut live = connection.open_uni().await.expect("a stream");
            live.write_all(&hello).await.expect("written");
            (connection, live)
        })
    };
    let (first, _stream) = open();
    wait_until("the first", &mut [&mut b], |s| sessions(s[0]) == 1);
    let (second, _stream) = open();
    wait_until("the second", &mut [&mut b], |s| sessions(s[0]) == 2);
    assert_eq!(lab.runtime.block_on(close_code(&first)), Some(CloseCode::Replaced));
    assert!(second.close_reason().is_none());
    let one = address(1);
    let end = NetEvent::Disconnected(one, CloseReason::Local(CloseCode::Replaced));
    assert_eq!(b.log, [NetEvent::Connected(one), end, NetEvent::Connected(one)]);
}

#[test]
fn a_flood_of_bulk_does_not_hold_up_live() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let bulk = Bytes::from(vec![0xbb; 1 << 20]);
    let to = address(2);
    let mut last_room = Instant::now();
    let mut flooded = 0;
    // Full for a while: every buffer on the way is full, down to the receiver's, which nobody empties.
    while last_room.elapsed() < Duration::from_millis(500) {
        match a.node.send(to, Channel::Bulk, bulk.clone()) {
            Ok(()) => {
                flooded += 1;
                last_room = Instant::now();
            }
            Err(SendError::Full { .. }) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
        assert!(flooded < 200, "buffers are bounded");
    }
    let held = b.node.counters().bytes_received as usize;
    assert!(held <= limits::PEER_IN_BYTES + bulk.len(), "{held} bytes wait for an engine that does not poll");
    let sent = Instant::now();
    a.node.send(to, Channel::Live, Bytes::from_static(b"urgent")).expect("live has room");
    while b.node.counters().bytes_received as usize == held {
        assert!(sent.elapsed() < PATIENCE, "live is stuck behind bulk");
        std::thread::sleep(Duration::from_micros(50));
    }
    println!("live arrived {:?} after it was sent, past {flooded} MiB of bulk", sent.elapsed());
    wait_until("everything", &mut [&mut a, &mut b], |s| s[1].frames(1).len() == flooded + 1);
    let position = b.frames(1).iter().position(|frame| *frame == b"urgent"[..]).expect("it came");
    // In one queue it would have come last; here it passes at least what waited in the sender.
    assert!(position + 8 <= flooded, "live came after {position} of {flooded} frames of bulk");
}

/// Ends a node as a crash does: without a word to its peers.
fn crash(runtime: tokio::runtime::Runtime, node: QuicTransport) {
    runtime.shutdown_timeout(PATIENCE);
    drop(node);
}

#[test]
fn a_crashed_peer_is_recognised_when_it_returns() {
    let mut lab = QuicLab::default();
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut a = Station::new(lab.start(1));
    let b = lab.start_on(2, other.handle().clone());
    let mut b = Station::new(b);
    a.node.set_peers(lab.peers(&[2]));
    b.node.set_peers(lab.peers(&[1]));
    wait_until("both connect", &mut [&mut a, &mut b], |s| s[0].connected(2) && s[1].connected(1));
    crash(other, b.node);

    let mut b = Station::new(lab.start(2));
    b.node.set_peers(lab.peers(&[1]));
    let back = Instant::now();
    wait_until("a new session", &mut [&mut a, &mut b], |s| s[1].connected(1) && s[0].connected(2));
    println!("recognised {:?} after the return", back.elapsed());
    let reset = NetEvent::Disconnected(address(2), CloseReason::Reset);
    assert!(a.log.contains(&reset), "{:?}", a.log);
}

#[test]
fn a_returning_dialler_takes_its_place() {
    let mut lab = QuicLab::default();
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut b = Station::new(lab.start(2));
    let a = lab.start_on(1, other.handle().clone());
    let mut a = Station::new(a);
    a.node.set_peers(lab.peers(&[2]));
    b.node.set_peers(lab.peers(&[1]));
    wait_until("both connect", &mut [&mut a, &mut b], |s| s[0].connected(2) && s[1].connected(1));
    crash(other, a.node);

    let mut a = Station::new(lab.start(1));
    a.node.set_peers(lab.peers(&[2]));
    wait_until("a new session", &mut [&mut a, &mut b], |s| s[0].connected(2) && sessions(s[1]) == 2);
    still_talk(&mut b, &mut a, (2, 1));
}

#[test]
fn closing_tells_the_peers_and_ends_the_transport() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    assert!(a.node.close(), "the peers were told");
    let end = NetEvent::Disconnected(address(1), CloseReason::Remote(CloseCode::Shutdown));
    wait_until("its end", &mut [&mut b], |s| s[0].log.contains(&end));
    a.pump();
    let end = NetEvent::Disconnected(address(2), CloseReason::Local(CloseCode::Shutdown));
    assert!(a.log.contains(&end), "{:?}", a.log);
    let closed = a.node.send(address(2), Channel::Live, Bytes::new());
    assert_eq!(closed, Err(SendError::Closed(address(2))));
    a.node.set_peers(lab.peers(&[2]));
    assert!(a.node.close(), "again");
}

#[test]
fn endpoints_of_no_use_are_survived() {
    let mut lab = QuicLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let mut peers = lab.peers(&[2]);
    for (name, endpoint) in [(5, "224.0.0.1:5"), (6, "nonsense"), (7, ""), (8, "no-such-host.invalid:80")] {
        let mut peer = lab.peer(name);
        peer.endpoint = endpoint.into();
        peers.push(peer);
    }
    a.node.set_peers(peers);
    wait_until("failed attempts", &mut [&mut a], |s| s[0].node.counters().dials_failed >= 4);
    still_talk(&mut a, &mut b, (1, 2));
}
