"""The accounts of a Konstantly site, counted by role."""

from collections import Counter
from datetime import datetime, timedelta

from msgspec import Struct, field

from exporter.api.client import Client
from exporter.api.pagination import offset_list
from exporter.api.reply import Count
from exporter.api.unreadable import OrUnknown
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.konstantly.settings import KonstantlySettings, sampled

ENDPOINT = "/users"

ACCOUNTS = Family(
    "konstantly_user_accounts",
    "Accounts by the alias of their role, which administrators choose (empty if it cannot be read), and by whether "
    "they are banned. "
    f"Source: GET {ENDPOINT}, by default at most 1 hour old.",
    ("role", "banned"),
)


class Role(Struct, gc=False):
    alias: str


class User(Struct, gc=False, rename="camel"):
    id: int | str
    role: OrUnknown[Role | str]
    is_banned: bool

    @property
    def role_alias(self) -> str:
        """The role's alias, in whichever of the two documented forms it came, or else empty."""
        return self.role.alias if isinstance(self.role, Role) else self.role or ""


class UsersPage(Struct):
    records: list[User] = field(name="users")
    total: Count = field(name="totalCount")


def account_samples(accounts: Counter[tuple[str, bool]]) -> list[Sample]:
    """Map counts by (role alias, banned); every role that occurs has both series, 0 included."""
    return [
        ACCOUNTS.sample(accounts[role, banned], role=role, banned="true" if banned else "false")
        for role in sorted({role for role, _ in accounts})
        for banned in (False, True)
    ]


async def collect(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Count the whole list."""
    users = await offset_list(client, ENDPOINT, UsersPage, lambda user: user.id)
    return account_samples(Counter((user.role_alias, user.is_banned) for user in users))


async def ask(client: Client, _settings: KonstantlySettings, _now: datetime) -> list[Sample]:
    """Read the first page."""
    await client.get_as(UsersPage, ENDPOINT)
    return []


COLLECTOR = Collector(
    name="users",
    families=(ACCOUNTS,),
    interval=timedelta(hours=1),
    collect=collect,
    probes=(Probe(ENDPOINT, ask),),
    planned_requests=lambda _: {ENDPOINT: 53},
    planned_series=lambda _: {ACCOUNTS: 3 * 2},
    enabled=False,
    bases=(sampled(ENDPOINT),),
)
