#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad surroundings, each with a world of its own where it needs one: no reader, no acquirer, a
certificate that does not fit, parameters unsigned or old, a full disk. A clear error that names the
thing, no payment half done, nothing lost. Speaks TAP."""
import ctypes
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402


def without_a_reader_it_says_so_and_takes_one_that_comes():
    with World() as w:
        w.provision()
        w.start_acquirer()
        w.start_doorpayd(wait_reader=False)
        same("reader", w.diagnose()["reader_ok"], False)
        a = w.pay("5.00")
        same("payment", (a["state"], a["reason"]), ("declined", "reader"))
        w.start_pcscd()
        w.wait_reader(30)
        with w.card("cda-online"):
            same("payment", w.pay("5.00")["state"], "approved")
        w.stop_pcscd()
        wait_for("the loss to be noticed", lambda: w.pay("5.00").get("reason") == "reader", 30, 0.5)
        w.start_pcscd()
        w.wait_reader(30)
        with w.card("cda-online"):
            same("payment", w.pay("5.00")["state"], "approved")


def without_an_acquirer_from_the_start_the_limits_hold():
    with World() as w:
        w.provision()
        w.start_pcscd()
        w.port = w._free_port()
        w.start_doorpayd(wait_link=False)
        with w.card("cda-offline"):
            a = w.pay("5.00")
        same("payment", (a["state"], a["mode"]), ("approved", "offline-approved"))
        with w.card("no-oda"):
            b = w.pay("5.00", deferred="forbid")
        same("no authentication, no network", b["state"], "declined")
        w.start_acquirer(w.port)
        w.wait_link(True, 60)
        e2e.all_agree(w)


def refused_link(w, words, **changes):
    w.start_doorpayd(wait_link=False, **changes)
    wait_for(f"the log to say: {words}", lambda: any(x in w.log("doorpayd") for x in words), 15)
    same("link", w.diagnose()["link_up"], False)
    w.stop_doorpayd()


def a_server_with_a_wrong_certificate_is_not_spoken_to():
    with World() as w:
        w.provision()
        w.start_pcscd()
        w.start_acquirer()
        other = os.path.join(w.dir, "otherkeys")
        w.sim("keys", "--out", other)
        refused_link(w, ("comes from no authority we trust",),
                     acquirer__ca=os.path.join(other, "tls-ca.pem"))
        frames = open(w.traffic, encoding="ascii").read() if os.path.exists(w.traffic) else ""
        assert not any(line.strip() and not line.startswith("#") for line in frames.split("\n")), \
            "a message went to a server that is not ours"
        w.start_doorpayd()


def a_terminal_with_a_wrong_certificate_is_refused_and_told():
    with World() as w:
        w.provision()
        w.start_pcscd()
        w.start_acquirer()
        other = os.path.join(w.dir, "otherkeys")
        w.sim("keys", "--out", other)
        csr = os.path.join(w.dir, "terminal.csr")
        w.sim("keys", "--out", other, "--sign-csr", csr, "--tid", w.tid, "--cert",
              os.path.join(w.dir, "wrong.pem"))
        w.start_doorpayd(wait_link=False, acquirer__cert=os.path.join(w.dir, "wrong.pem"))
        wait_for("the log to name it", lambda: "link" in w.log("doorpayd") and
                 ("alert" in w.log("doorpayd") or "certificate" in w.log("doorpayd")), 15)
        same("link", w.diagnose()["link_up"], False)


def parameters_unsigned_old_or_foreign_are_refused():
    with World() as w:
        w.provision()
        w.start_pcscd()
        w.start_acquirer()
        w.write_params(None, "--set-version", "7")
        w.start_doorpayd()
        with w.card("cda-online"):
            same("payment", w.pay("5.00")["state"], "approved")
        good = w.params + ".good"
        shutil.copy(w.params, good)

        def refused(words):
            mark = len(w.log("doorpayd"))
            w.restart_doorpayd(wait_link=False, wait_reader=False)
            a = w.pay("5.00")
            same("payment", (a["state"], a["reason"]), ("declined", "params"))
            said = w.log("doorpayd")[mark:].lower()
            assert any(x in said for x in words), said
        w.write_params(None, "--set-version", "6")
        refused(("older", "rollback", "version"))
        other = os.path.join(w.dir, "otherkeys")
        w.sim("keys", "--out", other)
        w.write_params(None, "--set-version", "8", "--sign-key", os.path.join(other, "params.pem"))
        refused(("signature", "signed"))
        with open(good, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 1
        with open(w.params, "wb") as f:
            f.write(data)
        refused(("signature", "format", "field", "not"))
        shutil.copy(good, w.params)
        w.restart_doorpayd()
        with w.card("cda-online"):
            same("payment", w.pay("5.00")["state"], "approved")


def a_full_disk_refuses_before_it_is_too_late_and_loses_nothing():
    libc = ctypes.CDLL(None, use_errno=True)
    with World() as w:
        w.provision()
        assert libc.mount(b"none", w.journals.encode(), b"tmpfs", 0, b"size=16m") == 0
        try:
            w.start_pcscd()
            w.start_acquirer()
            w.start_doorpayd()
            with w.card("cda-online"):
                same("payment", w.pay("5.00")["state"], "approved")
            fill = os.path.join(w.journals, "fill")
            with open(fill, "wb") as f:
                try:
                    while True:
                        f.write(bytes(65536))
                        f.flush()
                except OSError:
                    pass
            with w.card("cda-online"):
                a = w.pay("6.00")
            same("on the full disk", (a["state"], a["reason"]), ("declined", "journal"))
            assert "full" in (w.log("doorpayd") + json_words(a)).lower() or \
                "space" in (w.log("doorpayd") + json_words(a)).lower(), a
            os.unlink(fill)
            with w.card("cda-online"):
                same("with room again", w.pay("7.00")["state"], "approved")
            e2e.all_agree(w)
        finally:
            w.stop_doorpayd()
            libc.umount2(w.journals.encode(), 2)


def json_words(answer):
    return " ".join(str(v) for v in answer.values())


if __name__ == "__main__":
    World.enter()
    sys.exit(e2e.run([without_a_reader_it_says_so_and_takes_one_that_comes,
                      without_an_acquirer_from_the_start_the_limits_hold,
                      a_server_with_a_wrong_certificate_is_not_spoken_to,
                      a_terminal_with_a_wrong_certificate_is_refused_and_told,
                      parameters_unsigned_old_or_foreign_are_refused,
                      a_full_disk_refuses_before_it_is_too_late_and_loses_nothing]))
