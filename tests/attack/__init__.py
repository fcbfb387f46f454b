"""Attacks on a running train from outside: each must leave a stop through, within a bound."""
