"""Drives slixmpp clients from JSON lines: one command a line in, answers and events a line out.

In:   {"n": 1, "client": "alice", "do": "login", ...}
Out:  {"n": 1, "client": "alice", "ok": ...} or {"n": 1, "client": "alice", "error": "..."}
      {"client": "alice", "event": "message", "xml": "...", ...}

Tests are written elsewhere; here is only what a client can do.
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath, StanzaPath
from slixmpp.xmlstream.tostring import tostring

WAIT = 20


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def condition(stanza):
    """The defined condition of an error stanza; slixmpp does not know all of them."""
    ns = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
    names = [child.tag[len(ns):] for child in stanza.xml.iterfind("{*}error/" + ns + "*")]
    return next((name for name in names if name != "text"), None)


class Client(slixmpp.ClientXMPP):
    """One account on one device, which reports everything that arrives."""

    def __init__(self, name, order):
        mechanism = order.get("mechanism")
        super().__init__(order["jid"], order["password"], sasl_mech=mechanism)
        self.name_here = name
        self.address = (order["host"], order["port"])
        self.enable_direct_tls = order.get("tls", "starttls") == "direct"
        self.enable_starttls = not self.enable_direct_tls
        self.enable_plaintext = False
        self.use_ipv6 = False
        self.use_aiodns = False
        self.ca_certs = order["ca"]
        self.auto_authorize = None  # subscriptions are the test's to answer
        self.auto_subscribe = False
        self.drop_after = None
        self.drop_inside = False
        self.used_mechanism = None
        plugins = [
            "xep_0004", "xep_0030", "xep_0045", "xep_0059", "xep_0066", "xep_0085", "xep_0199", "xep_0203",
            "xep_0249", "xep_0280", "xep_0297", "xep_0308", "xep_0313", "xep_0359",
        ]
        for plugin in plugins:
            self.register_plugin(plugin)
        if order.get("resume"):
            self.register_plugin("xep_0198", {"window": order.get("window", 5)})
            self.add_event_handler("sm_enabled", lambda s: self.tell("sm_enabled", s))
            self.add_event_handler("session_resumed", lambda s: self.tell("resumed", s))
            self.add_event_handler("sm_failed", lambda s: self.tell("resume_failed", s))
        self.started = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("session_resumed", self.on_start)
        self.add_event_handler("failed_auth", self.on_refused)
        self.add_event_handler("stream_error", lambda s: self.tell("stream_error", s, condition=s["condition"]))
        self.add_event_handler("connection_failed", self.on_unreachable)
        self.add_event_handler("disconnected", lambda why: self.tell("disconnected", why=str(why) if why else None))
        self.register_handler(Callback("all messages", StanzaPath("message"), self.on_message))
        self.register_handler(Callback("all presence", StanzaPath("presence"), self.on_presence))
        self.register_handler(Callback("all iq", StanzaPath("iq"), self.on_iq))

    def tell(self, event, stanza=None, **more):
        if stanza is not None:
            more["xml"] = tostring(stanza.xml, xmlns="jabber:client", stream=self, top_level=True)
        say(client=self.name_here, event=event, **more)

    def on_message(self, stanza):
        self.tell(
            "message", stanza, type=stanza["type"], id=stanza["id"], body=stanza["body"],
            **{"from": str(stanza["from"]), "to": str(stanza["to"])},
            condition=condition(stanza) if stanza["type"] == "error" else None,
            text=stanza["error"]["text"] if stanza["type"] == "error" else None,
        )

    def on_presence(self, stanza):
        self.tell(
            "presence", stanza, type=stanza["type"], status=stanza["status"], show=stanza["show"],
            **{"from": str(stanza["from"]), "to": str(stanza["to"])},
        )

    def on_iq(self, stanza):
        self.tell("iq", stanza, type=stanza["type"], id=stanza["id"], **{"from": str(stanza["from"])})

    def on_start(self, _):
        mechanism = self.plugin["feature_mechanisms"].mech
        self.used_mechanism = mechanism.name if mechanism else None
        if not self.started.done():
            self.started.set_result(None)

    def on_refused(self, stanza):
        if not self.started.done():
            self.started.set_exception(RuntimeError("login refused: " + str(stanza["condition"])))

    def on_unreachable(self, why):
        if not self.started.done():
            self.started.set_exception(RuntimeError("connection failed: " + str(why)))

    def send_raw(self, data):
        """Writes; after the point that a burst chose, what is written is lost on its way."""
        if self.drop_after is not None and isinstance(data, str):
            if self.drop_after <= 0:
                return
            if data.startswith("<message"):
                self.drop_after -= 1
                if self.drop_after == 0 and self.drop_inside:
                    data = data[: len(data) // 2]
        if self.transport is not None:
            super().send_raw(data)

    def cut(self):
        """Ends the TCP connection with a reset, without a word in XMPP."""
        if self.transport is None:
            return
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Commands:
    """What can be asked of a client; a method a command."""

    def __init__(self):
        self.clients = {}

    async def login(self, name, order):
        client = Client(name, order)
        self.clients[name] = client
        return await self.connect(client)

    async def connect(self, client):
        client.started = asyncio.get_running_loop().create_future()
        client.connect(*client.address)
        lost = asyncio.ensure_future(client.wait_until("disconnected", WAIT))
        done, _ = await asyncio.wait([client.started, lost], timeout=WAIT, return_when=asyncio.FIRST_COMPLETED)
        if client.started not in done:
            client.cancel_connection_attempt()
            raise RuntimeError("the stream ended before the session started" if done else "no session in time")
        lost.cancel()
        try:
            client.started.result()
        finally:
            client.cancel_connection_attempt()
        tls = client.transport.get_extra_info("ssl_object")
        return {"jid": str(client.boundjid), "mechanism": client.used_mechanism, "tls": tls.version() if tls else None}

    async def reconnect(self, name, order):
        client = self.clients[name]
        if "port" in order:
            client.address = (order["host"], order["port"])
        return await self.connect(client)

    async def cut(self, name, _):
        self.clients[name].cut()

    async def logout(self, name, _):
        await self.clients[name].disconnect()
        self.clients[name]._run_out_filters.cancel()  # slixmpp leaves this task behind

    async def send(self, name, order):
        """Sends one stanza exactly as written."""
        stanza = ET.fromstring(order["xml"])
        kind = {"message": self.clients[name].Message, "presence": self.clients[name].Presence,
                "iq": self.clients[name].Iq}[stanza.tag.split("}")[-1]]
        kind(xml=stanza).send()

    async def raw(self, name, order):
        self.clients[name].send_raw(order["xml"])

    async def ask(self, name, order):
        """Sends an iq and gives its answer, error or not."""
        client = self.clients[name]
        stanza = client.Iq(xml=ET.fromstring(order["xml"]))
        if not stanza["id"]:
            stanza["id"] = client.new_id()
        try:
            answer = await stanza.send(timeout=WAIT)
        except IqError as error:
            answer = error.iq
        except IqTimeout:
            raise RuntimeError("the iq was never answered") from None
        return {"type": answer["type"], "xml": tostring(answer.xml, xmlns="jabber:client", top_level=True)}

    async def burst(self, name, order):
        """Sends many messages at once. With `cut_after`, only that many are written (of the last one only
        half, with `cut_inside`), then the connection is reset: the client believes it sent them all."""
        client = self.clients[name]
        client.drop_after = order.get("cut_after")
        client.drop_inside = order.get("cut_inside", False)
        for number, body in enumerate(order["bodies"]):
            message = client.make_message(mto=order["to"], mbody=body, mtype="chat")
            message["id"] = f"{order['prefix']}{number}"
            message.send()
        await client.waiting_queue.join()
        if client.drop_after is not None:
            client.cut()
            await client.wait_until("disconnected", WAIT)
            client.drop_after = None

    async def join(self, name, order):
        client = self.clients[name]
        room = slixmpp.JID(order["room"])
        await client.plugin["xep_0045"].join_muc_wait(room, order["nick"], timeout=WAIT, maxstanzas=order.get("history", 0))
        if order.get("create"):
            form = client.plugin["xep_0004"].make_form("submit")
            await client.plugin["xep_0045"].set_room_config(room, form)

    async def roster(self, name, _):
        """The whole roster, asked for without a version: address and subscription."""
        stanza = self.clients[name].make_iq_get()
        stanza.xml.append(ET.Element("{jabber:iq:roster}query"))
        answer = await stanza.send(timeout=WAIT)
        return {item.get("jid"): item.get("subscription") for item in answer.xml.iter("{jabber:iq:roster}item")}

    async def carbons(self, name, _):
        await self.clients[name].plugin["xep_0280"].enable()

    async def archive(self, name, order):
        """Everything the archive holds, oldest first, as stanzas."""
        client = self.clients[name]
        found = []
        answers = client.plugin["xep_0313"].retrieve(
            jid=order.get("archive"), with_jid=slixmpp.JID(order["with"]) if order.get("with") else None, iterator=True, rsm={"max": 50})
        async for page in answers:
            for result in page["mam"]["results"]:
                inner = result["mam_result"]["forwarded"]["stanza"]
                found.append({"body": inner["body"], "from": str(inner["from"]), "xml": str(inner)})
        return found

    async def slot(self, name, order):
        """An upload slot; slixmpp's own plugin for it wants an HTTP library."""
        client = self.clients[name]
        stanza = client.make_iq_get(ito=order["service"])
        stanza.xml.append(ET.Element("{urn:xmpp:http:upload:0}request", {
            "filename": order["name"], "size": str(order["size"]), "content-type": order["type"]}))
        try:
            answer = await stanza.send(timeout=WAIT)
        except IqError as error:
            raise RuntimeError("no slot: " + tostring(error.iq.xml)) from None
        ns = {"u": "urn:xmpp:http:upload:0"}
        put, get = answer.xml.find(".//u:put", ns), answer.xml.find(".//u:get", ns)
        headers = {header.get("name"): header.text for header in put.findall("u:header", ns)}
        return {"put": put.get("url"), "get": get.get("url"), "headers": headers}

    async def http(self, name, order):
        """One HTTP request as the client would make it: status, body and type of the answer."""
        context = ssl.create_default_context(cafile=order["ca"])
        body = bytes.fromhex(order["hex"]) if "hex" in order else None
        request = urllib.request.Request(
            order["url"], data=body, method=order["method"], headers=order.get("headers") or {})

        def go():
            try:
                with urllib.request.urlopen(request, timeout=WAIT, context=context) as answer:
                    return answer.status, answer.read(), dict(answer.headers)
            except urllib.error.HTTPError as answer:
                return answer.code, answer.read(), dict(answer.headers)

        status, content, headers = await asyncio.get_running_loop().run_in_executor(None, go)
        return {"status": status, "hex": content.hex(), "text": content.decode("utf-8", "replace"), "headers": headers}


async def main():
    commands = Commands()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def run(order):
        head = {"n": order["n"], "client": order["client"]}
        try:
            say(**head, ok=await getattr(commands, order["do"])(order["client"], order))
        except Exception as error:  # every failure is an answer
            say(**head, error=f"{type(error).__name__}: {error}")

    running = set()
    while line := await lines.readline():
        task = asyncio.ensure_future(run(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main())
