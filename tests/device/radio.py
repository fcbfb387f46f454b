"""The radio between BlueZ's adapter and the hub: bumble's controllers, with what they lack of a real link layer.

Data moves once a connection interval; a packet is reported as completed when it has passed, not when it was taken; a
link that carries nothing ends after its supervision timeout; a connection that is being made can be given up.
"""

import asyncio
import os
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.link import LocalLink

BATCH = 6
"""Packets of one direction that fit into a connection event."""

NOT_NEEDED = (
    hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING | hci.LeFeatureMask.LL_PRIVACY
)

VENDOR_PACKET = 0xFF
"""Type of the packet with which /dev/vhci makes an adapter, and answers."""


class Air(LocalLink):
    """What two controllers send each other. `silent` lets nothing through, `lost_percent` loses connection events."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = False
        self.lost_percent = 0.0
        self.interval_s = 0.05
        self.timeout_s = 0.42
        self._queues: dict[int, tuple[Connection, deque[hci.HCI_AclDataPacket]]] = {}

    def other(self, controller: Controller) -> Controller | None:
        """Return the controller at the other end; None while there is none."""
        return next((one for one in self.controllers if one is not controller), None)

    def queue(self, connection: Connection, packet: hci.HCI_AclDataPacket) -> None:
        """Take a packet for the next connection event."""
        self._queues.setdefault(id(connection), (connection, deque()))[1].append(packet)

    def queued(self) -> dict[str, int]:
        """Return the packets that wait, by the name of their sender."""
        return {connection.controller.name: len(packets) for connection, packets in self._queues.values()}

    def forget(self, connection: Connection) -> None:
        """Drop what waits for a link that is gone."""
        self._queues.pop(id(connection), None)

    async def carry(self) -> None:
        """Pass on packets, a connection event after the other, for ever."""
        while True:
            await asyncio.sleep(self.interval_s)
            if self.silent or random.random() * 100 < self.lost_percent:  # noqa: S311
                continue
            for connection, packets in list(self._queues.values()):
                count = min(BATCH, len(packets))
                for _ in range(count):
                    connection.assembler.feed_packet(packets.popleft())
                if count:
                    done = hci.HCI_Number_Of_Completed_Packets_Event([connection.handle], [count])
                    connection.controller.send_hci_packet(done)

    def cut(self, *controllers: Controller) -> None:
        """End every link of some controllers, as the supervision timeout does."""
        for controller in controllers:
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    # From here on: bumble's own methods.

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        """Deliver by the link's own addresses: bumble takes the sender's random one, which BlueZ changes."""
        connection = sender_controller.le_connections.get(destination_address)
        to = self.other(sender_controller)
        if connection is not None and to is not None:
            asyncio.get_running_loop().call_soon(to.on_link_acl_data, connection.self_address, transport, data)

    def send_advertising_pdu(self, sender_controller, packet):
        """Send an advertisement, in range."""
        if not self.silent:
            super().send_advertising_pdu(sender_controller, packet)

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        """Send what link layers tell each other; a farewell that is lost leaves the other side to its timeout."""
        receiver = self.find_le_controller(receiver_address)
        if receiver is None:
            return
        if not self.silent:
            asyncio.get_running_loop().call_soon(receiver.on_ll_control_pdu, sender_address, packet)
        elif isinstance(packet, ll.TerminateInd):
            asyncio.get_running_loop().call_later(self.timeout_s, self.cut, receiver)


class Radio(Controller):
    """A controller of our air, without the features that nothing here needs."""

    le_features = Controller.le_features & ~NOT_NEEDED
    total_num_le_acl_data_packets = total_num_acl_data_packets = 8
    le_acl_data_packet_length = supported_max_tx_octets = supported_max_rx_octets = 251

    def on_hci_acl_data_packet(self, packet):
        """Take a packet from the host: it is sent in a connection event."""
        connection = self.find_le_connection_by_handle(packet.connection_handle)
        if connection is not None:
            self.link.queue(connection, packet)

    def on_le_disconnected(self, connection, reason):
        """End a link, and what waits for it."""
        self.link.forget(connection)
        if connection.peer_address in self.le_connections:
            super().on_le_disconnected(connection, reason)


class Adapter(Radio):
    """The controller of BlueZ's adapter."""

    pending_le_connection: Any = None

    def on_advertising_pdu(self, pdu):
        """Report an advertisement, with the scan response of its own that bumble does not know; connect if asked to."""
        event = hci.HCI_LE_Advertising_Report_Event
        peer = self.link.other(self)
        if self.le_scan_enable and peer is not None:
            reports = [(event.EventType.ADV_IND, pdu.data)]
            if self.le_scan_type:
                reports.append((event.EventType.SCAN_RSP, bytes(peer.le_legacy_advertiser.scan_response_data)))
            address = pdu.advertiser_address
            for kind, data in reports:
                report = event.Report(
                    event_type=kind, address_type=address.address_type, address=address, data=data, rssi=-52
                )
                self.send_hci_packet(event([report]))
        wanted = self.pending_le_connection
        if wanted is not None and wanted.peer_address == pdu.advertiser_address:
            self.link.timeout_s = wanted.supervision_timeout * 0.01
            self.link.interval_s = wanted.connection_interval_max * 0.00125
            self.create_le_connection(pdu.advertiser_address)

    def on_hci_le_create_connection_cancel_command(self, _command):
        """Give up a connection that is being made; bumble only says that it did."""
        wanted, self.pending_le_connection = self.pending_le_connection, None
        if wanted is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        given_up = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=0,
            peer_address_type=wanted.peer_address_type,
            peer_address=wanted.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, given_up)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class VirtualPort:
    """/dev/vhci: the kernel's end of an adapter that `make` builds on it."""

    def __init__(self, make: Callable[["VirtualPort"], Controller]) -> None:
        self._fd = os.open("/dev/vhci", os.O_RDWR | os.O_NONBLOCK)
        self.controller = make(self)
        os.write(self._fd, bytes((VENDOR_PACKET, 0)))
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            packet = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        if packet and packet[0] != VENDOR_PACKET:
            self.controller.on_packet(packet)

    def on_packet(self, packet: bytes) -> None:
        """Give the kernel a packet."""
        if self._fd >= 0:
            os.write(self._fd, packet)

    def close(self) -> None:
        """Pull the adapter."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
