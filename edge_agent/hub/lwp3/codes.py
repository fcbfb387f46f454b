"""Identifiers and code tables of the LEGO Wireless Protocol 3.

As published at https://lego.github.io/lego-ble-wireless-protocol-docs/ and, where that is silent, as real hubs announce
them.
"""

from enum import IntEnum, IntFlag

SERVICE_UUID = "00001623-1212-efde-1623-785feabcd123"
"""GATT service of every hub that speaks LWP3; advertised."""

CHARACTERISTIC_UUID = "00001624-1212-efde-1623-785feabcd123"
"""The only GATT characteristic: commands are written to it, events are its notifications."""

COMPANY_ID = 0x0397
"""LEGO System A/S in the Bluetooth SIG's list of company identifiers; key of the manufacturer data."""

MAX_NAME_BYTES = 14
"""Longest hub name that fits the property message."""


class MessageType(IntEnum):
    """Third byte of the common header."""

    HUB_PROPERTIES = 0x01
    HUB_ACTIONS = 0x02
    HUB_ALERTS = 0x03
    HUB_ATTACHED_IO = 0x04
    GENERIC_ERROR = 0x05
    PORT_INFORMATION_REQUEST = 0x21
    PORT_MODE_INFORMATION_REQUEST = 0x22
    PORT_INPUT_FORMAT_SETUP = 0x41
    PORT_INFORMATION = 0x43
    PORT_MODE_INFORMATION = 0x44
    PORT_VALUE = 0x45
    PORT_INPUT_FORMAT = 0x47
    PORT_OUTPUT_COMMAND = 0x81
    PORT_OUTPUT_FEEDBACK = 0x82


class HubProperty(IntEnum):
    """Properties of a hub."""

    NAME = 0x01
    BUTTON = 0x02
    FIRMWARE_VERSION = 0x03
    HARDWARE_VERSION = 0x04
    RSSI = 0x05
    BATTERY_PERCENT = 0x06
    BATTERY_TYPE = 0x07
    MANUFACTURER = 0x08
    RADIO_FIRMWARE_VERSION = 0x09
    PROTOCOL_VERSION = 0x0A
    SYSTEM_TYPE = 0x0B
    NETWORK_ID = 0x0C
    MAC_ADDRESS = 0x0D
    BOOTLOADER_MAC_ADDRESS = 0x0E
    NETWORK_FAMILY = 0x0F


class PropertyOperation(IntEnum):
    """Operations on a hub property."""

    SET = 0x01
    ENABLE_UPDATES = 0x02
    DISABLE_UPDATES = 0x03
    RESET = 0x04
    REQUEST_UPDATE = 0x05
    UPDATE = 0x06


class HubActionType(IntEnum):
    """Actions that a hub is asked for (below 0x30) or announces (from 0x30)."""

    SWITCH_OFF = 0x01
    DISCONNECT = 0x02
    VCC_PORT_ON = 0x03
    VCC_PORT_OFF = 0x04
    BUSY_ON = 0x05
    BUSY_OFF = 0x06
    SHUT_DOWN_NOW = 0x2F
    WILL_SWITCH_OFF = 0x30
    WILL_DISCONNECT = 0x31
    WILL_ENTER_BOOT_MODE = 0x32


class Alert(IntEnum):
    """Conditions that a hub warns about once its alert is enabled."""

    LOW_VOLTAGE = 0x01
    HIGH_CURRENT = 0x02
    LOW_SIGNAL = 0x03
    OVER_POWER = 0x04


class AlertOperation(IntEnum):
    """Operations on an alert."""

    ENABLE_UPDATES = 0x01
    DISABLE_UPDATES = 0x02
    REQUEST_UPDATE = 0x03
    UPDATE = 0x04


class AttachEvent(IntEnum):
    """What happened at a port."""

    DETACHED = 0x00
    ATTACHED = 0x01
    ATTACHED_VIRTUAL = 0x02


class DeviceType(IntEnum):
    """Devices that the agent uses; others remain plain numbers."""

    MEDIUM_MOTOR = 0x01
    TRAIN_MOTOR = 0x02
    LIGHT = 0x08
    VOLTAGE_SENSOR = 0x14
    CURRENT_SENSOR = 0x15
    RGB_LIGHT = 0x17
    MEDIUM_MOTOR_TACHO = 0x26
    LARGE_MOTOR = 0x2E
    EXTRA_LARGE_MOTOR = 0x2F


class SystemType(IntEnum):
    """Kinds of hub, as advertised and in the system type property: three bits of system, five of device."""

    DUPLO_TRAIN = 0x20
    MOVE = 0x40
    CITY = 0x41
    HANDSET = 0x42
    MARIO = 0x43
    TECHNIC = 0x80


class Capability(IntFlag):
    """Capabilities of an advertising hub."""

    CENTRAL = 0x01
    PERIPHERAL = 0x02
    PORTS = 0x04
    REMOTE = 0x08


class ErrorCode(IntEnum):
    """Why a hub refuses a message."""

    ACK = 0x01
    MACK = 0x02
    BUFFER_OVERFLOW = 0x03
    TIMEOUT = 0x04
    COMMAND_NOT_RECOGNISED = 0x05
    INVALID_USE = 0x06
    OVERCURRENT = 0x07
    INTERNAL_ERROR = 0x08


class InformationType(IntEnum):
    """What to request from a port."""

    VALUE = 0x00
    MODE_INFORMATION = 0x01
    MODE_COMBINATIONS = 0x02


class ModeInformationType(IntEnum):
    """What to request about a port's mode."""

    NAME = 0x00
    RAW = 0x01
    PERCENT = 0x02
    SI = 0x03
    SYMBOL = 0x04
    MAPPING = 0x05
    MOTOR_BIAS = 0x07
    CAPABILITY_BITS = 0x08
    VALUE_FORMAT = 0x80


class OutputSubcommand(IntEnum):
    """Kinds of output command; powers, brightnesses and colours are all written directly to mode 0."""

    WRITE_DIRECT_MODE_DATA = 0x51


class Feedback(IntFlag):
    """State of a port after an output command."""

    IN_PROGRESS = 0x01
    COMPLETED = 0x02
    DISCARDED = 0x04
    IDLE = 0x08
    BUSY = 0x10


class Colour(IntEnum):
    """Colours of a hub's own light, by number."""

    OFF = 0
    PINK = 1
    PURPLE = 2
    BLUE = 3
    LIGHT_BLUE = 4
    CYAN = 5
    GREEN = 6
    YELLOW = 7
    ORANGE = 8
    RED = 9
    WHITE = 10
