//! A network of brokers driven by bytes; see [`crate::network`].

use crate::input::Input;
use crate::network::Network;

/// The first byte says whether a broker lies; the others are what happens.
pub fn kernel_steps(data: &[u8]) {
    let mut input = Input::new(data);
    let mut network = Network::new(input.byte() & 1 == 1);
    network.run(&mut input);
    network.calm();
}
