//! One suite for every transport: what an engine may rely on.

mod common;

use std::sync::mpsc;

use bytes::Bytes;
use common::{Lab, MemoryLab, PATIENCE, QuicLab, Station, address, linked, wait_until};
use weir_kernel::ids::Hash;
use weir_net::limits::MAX_FRAME_BYTES;
use weir_net::{Channel, CloseCode, CloseReason, NetEvent, SendError, Transport};

const MIB: usize = 1 << 20;

/// Frame `number` of a channel: tagged, and of a length that differs from its neighbours'.
fn tagged(channel: Channel, number: u32) -> Bytes {
    let mut frame = vec![channel as u8];
    frame.extend(number.to_be_bytes());
    frame.resize(5 + (number as usize * 7919) % 40_000, number as u8);
    frame.into()
}

fn of_channel(frames: &[Bytes], channel: Channel) -> Vec<Bytes> {
    frames.iter().filter(|frame| frame[0] == channel as u8).cloned().collect()
}

fn frames_come_in_order_both_ways(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    for channel in Channel::ALL {
        a.send_all(2, channel, (0..300).map(|n| tagged(channel, n)).collect(), &mut b);
        b.send_all(1, channel, (0..300).map(|n| tagged(channel, n)).collect(), &mut a);
    }
    wait_until("all frames", &mut [&mut a, &mut b], |s| {
        s[0].frames(2).len() == 600 && s[1].frames(1).len() == 600
    });
    for channel in Channel::ALL {
        let expected: Vec<_> = (0..300).map(|n| tagged(channel, n)).collect();
        assert_eq!(of_channel(&a.frames(2), channel), expected);
        assert_eq!(of_channel(&b.frames(1), channel), expected);
    }
}

fn empty_frames_are_frames(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    a.send_all(2, Channel::Live, vec![Bytes::new(), Bytes::from_static(b"x"), Bytes::new()], &mut b);
    wait_until("three frames", &mut [&mut a, &mut b], |s| s[1].frames(1).len() == 3);
    assert_eq!(b.frames(1), [&b""[..], b"x", b""]);
}

fn strangers_and_absent_peers_are_told_apart(mut lab: impl Lab) {
    let mut a = lab.start(1);
    let frame = Bytes::from_static(b"hello");
    let to = address(2);
    assert_eq!(a.send(to, Channel::Live, frame.clone()), Err(SendError::UnknownPeer(to)));
    a.set_peers(lab.peers(&[2]));
    assert_eq!(a.send(to, Channel::Live, frame.clone()), Err(SendError::Closed(to)));
    a.set_peers(lab.peers(&[1]));
    let own = address(1);
    assert_eq!(a.send(own, Channel::Live, frame), Err(SendError::UnknownPeer(own)), "not to itself");
}

fn the_largest_frame_passes_and_no_larger(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let large = Bytes::from(vec![1; MAX_FRAME_BYTES + 1]);
    for channel in Channel::ALL {
        let refused =
            SendError::TooLarge { to: address(2), bytes: MAX_FRAME_BYTES + 1, limit: MAX_FRAME_BYTES };
        assert_eq!(a.node.send(address(2), channel, large.clone()), Err(refused));
        assert_eq!(a.node.send(address(2), channel, large.slice(1..)), Ok(()));
    }
    wait_until("both frames", &mut [&mut a, &mut b], |s| s[1].frames(1).len() == 2);
    assert!(b.frames(1).iter().all(|frame| *frame == large.slice(1..)));
}

fn a_full_channel_says_so_and_loses_nothing(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let to = address(2);
    let mut accepted = 0;
    let refused = loop {
        let mut frame = vec![0; MIB];
        frame[0] = accepted;
        match a.node.send(to, Channel::Live, frame.into()) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 64, "the channel takes more than all its buffers hold");
    };
    assert!(matches!(refused, SendError::Full { channel: Channel::Live, .. }), "{refused}");
    assert!(accepted >= 7, "{accepted} MiB fit an 8 MiB budget");
    assert_eq!(a.node.send(to, Channel::Bulk, Bytes::from_static(&[255])), Ok(()), "channels are apart");
    let all = accepted as usize + 1;
    wait_until("what was accepted", &mut [&mut a, &mut b], |s| s[1].frames(1).len() == all);
    let live: Vec<u8> = b.frames(1).iter().map(|frame| frame[0]).filter(|tag| *tag != 255).collect();
    assert_eq!(live, (0..accepted).collect::<Vec<_>>());
    assert_eq!(a.node.send(to, Channel::Live, Bytes::from_static(&[0])), Ok(()), "there is room again");
}

fn a_restarted_peer_comes_back(mut lab: impl Lab) {
    for (stays, restarts) in [(1, 2), (4, 3)] {
        let (mut a, b) = linked(&mut lab, stays, restarts);
        drop(b);
        wait_until("the end", &mut [&mut a], |s| !s[0].connected(restarts));
        let end = NetEvent::Disconnected(address(restarts), CloseReason::Remote(CloseCode::Shutdown));
        assert!(a.log.contains(&end), "{:?}", a.log);
        let closed = a.node.send(address(restarts), Channel::Live, Bytes::from_static(b"lost"));
        assert_eq!(closed, Err(SendError::Closed(address(restarts))));

        let mut b = Station::new(lab.start(restarts));
        b.node.set_peers(lab.peers(&[stays]));
        wait_until("a new session", &mut [&mut a, &mut b], |s| {
            s[0].connected(restarts) && s[1].connected(stays)
        });
        a.send_all(restarts, Channel::Live, vec![Bytes::from_static(b"again")], &mut b);
        wait_until("a frame", &mut [&mut a, &mut b], |s| !s[1].frames(stays).is_empty());
        assert_eq!(b.frames(stays), [&b"again"[..]], "nothing of the former session");
    }
}

fn a_removed_peer_is_cut_off(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    a.send_all(2, Channel::Live, vec![Bytes::from_static(b"before"); 50], &mut b);
    b.log.clear();
    b.node.set_peers(Vec::new());
    wait_until("the end", &mut [&mut b, &mut a], |s| !s[0].log.is_empty() && !s[1].connected(2));
    let end = NetEvent::Disconnected(address(1), CloseReason::Local(CloseCode::Removed));
    assert_eq!(b.log, [end], "no frame after the removal");
    let end = NetEvent::Disconnected(address(2), CloseReason::Remote(CloseCode::Removed));
    assert!(a.log.contains(&end), "{:?}", a.log);
    let unknown = b.node.send(address(1), Channel::Live, Bytes::new());
    assert_eq!(unknown, Err(SendError::UnknownPeer(address(1))));

    b.node.set_peers(lab.peers(&[1]));
    wait_until("a new session", &mut [&mut a, &mut b], |s| s[0].connected(2) && s[1].connected(1));
}

fn a_peer_with_another_key_is_cut_off(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let mut peer = lab.peer(2);
    peer.tls_key_hash = Hash([0xee; 32]);
    a.node.set_peers(vec![peer]);
    wait_until("the end", &mut [&mut a, &mut b], |s| !s[0].connected(2) && !s[1].connected(1));
    let end = NetEvent::Disconnected(address(2), CloseReason::Local(CloseCode::Removed));
    assert!(a.log.contains(&end), "{:?}", a.log);
}

fn an_unchanged_directory_changes_nothing(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let peers = lab.peers(&[1, 2, 3]);
    a.node.set_peers(peers.clone());
    b.node.set_peers(peers);
    a.send_all(2, Channel::Live, vec![Bytes::from_static(b"still here")], &mut b);
    wait_until("a frame", &mut [&mut a, &mut b], |s| s[1].frames(1).len() == 1);
    let ends = b.log.iter().filter(|event| matches!(event, NetEvent::Disconnected(..))).count();
    assert_eq!(ends, 0);
}

fn the_waker_tells_of_arrivals(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    let (wake, woken) = mpsc::channel();
    b.node.set_waker(std::sync::Arc::new(move || wake.send(()).unwrap_or_default()));
    for number in 0..20u8 {
        while !b.node.poll(10).is_empty() {}
        a.send_all(2, Channel::Live, vec![Bytes::from(vec![number])], &mut b);
        let began = b.frames(1).len();
        while b.frames(1).len() == began {
            woken.recv_timeout(PATIENCE).expect("a call of the waker");
            b.pump();
        }
    }
    assert_eq!(b.frames(1).len(), 20);
}

fn polls_are_as_large_as_asked(mut lab: impl Lab) {
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    assert_eq!(b.node.poll(0), []);
    a.send_all(2, Channel::Live, vec![Bytes::from_static(b"x"); 10], &mut b);
    let mut got = b.frames(1).len();
    let began = std::time::Instant::now();
    while got < 10 {
        let events = b.node.poll(3);
        assert!(events.len() <= 3);
        got += events.len();
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(got, 10);
}

macro_rules! conformance {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { super::$test(super::MemoryLab::default()); })*
        }

        mod quic {
            $(#[test] fn $test() { super::$test(super::QuicLab::default()); })*
        }
    };
}

conformance!(
    frames_come_in_order_both_ways,
    empty_frames_are_frames,
    strangers_and_absent_peers_are_told_apart,
    the_largest_frame_passes_and_no_larger,
    a_full_channel_says_so_and_loses_nothing,
    a_restarted_peer_comes_back,
    a_removed_peer_is_cut_off,
    a_peer_with_another_key_is_cut_off,
    an_unchanged_directory_changes_nothing,
    the_waker_tells_of_arrivals,
    polls_are_as_large_as_asked,
);

/// What only the network in memory can do: cut a link and mend it.
#[test]
fn memory_links_are_cut_and_mended() {
    let mut lab = MemoryLab::default();
    let (mut a, mut b) = linked(&mut lab, 1, 2);
    a.node.send(address(2), Channel::Live, Bytes::from_static(b"lost")).expect("linked");
    lab.network.disconnect(address(2), address(1));
    a.pump();
    b.pump();
    assert!(!a.connected(2) && !b.connected(1) && b.frames(1).is_empty());
    assert_eq!(a.node.send(address(2), Channel::Live, Bytes::new()), Err(SendError::Closed(address(2))));
    lab.network.reconnect(address(1), address(2));
    a.pump();
    b.pump();
    assert!(a.connected(2) && b.connected(1));
}
