"""Client of the link details helper: routes, neighbours and links as pyroute2 reads them, one question per process."""

from __future__ import annotations

import msgspec

from collectors.helper_process import HelperFailed, HelperProcess, module_command
from collectors.netlink.link_details_messages import LinkAnswer, LinkQuestion

SECONDS = 10.0  # pyroute2's import takes 0.2 s of CPU; under CPUQuota=50% and on a busy host a good deal longer
COMMAND = module_command("collectors.netlink.link_details_helper")

_decoder = msgspec.json.Decoder(LinkAnswer)


class LinkDetailsClient:
    """Asks the helper. `stop()` may be called from another thread."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._helper = HelperProcess(command)
        self.stop = self._helper.stop

    def ask(self, question: LinkQuestion, seconds: float = SECONDS) -> LinkAnswer:
        """Return the helper's answer within `seconds`. Raises HelperFailed."""
        try:
            return _decoder.decode(self._helper.ask(question=msgspec.json.encode(question), seconds=seconds))
        except HelperFailed as error:
            raise HelperFailed(f"link details helper {error}") from None
        except (ValueError, RecursionError) as error:
            raise HelperFailed(f"link details helper sent an invalid answer: {error}") from None
