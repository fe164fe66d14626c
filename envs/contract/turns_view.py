"""How the page shows replies that end with a call."""

from __future__ import annotations

from markupsafe import Markup

from envs.contract.call_text import OPEN
from envs.contract.page_view import PageView


class TurnsView(PageView):
    """A reply's last line, where calls stand, apart from the text before it."""

    def reply(self, completion: str) -> Markup:
        """The text, then the line or the tags with the call."""
        text, call = _parted(completion.strip())
        before = Markup('<p class="before">{}</p>').format(text) if text else Markup("")
        return before + Markup('<pre class="call">{}</pre>').format(call)


def _parted(reply: str) -> tuple[str, str]:
    at = reply.rfind(OPEN) if OPEN in reply else reply.rfind("\n") + 1
    return reply[:at].strip(), reply[at:]
