"""The crowdsourcing half of the demo organisation: repeatable, never rewriting its past, and plausible."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

from exporter.demo.crowd import Crowd, completed_tasks, is_published, tasks

START = date(2024, 11, 20)
DAWN = datetime(2024, 11, 20, tzinfo=UTC)
EARLY = datetime(2025, 3, 12, 17, 30, tzinfo=UTC)
LATE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


def everything(crowd: Crowd, now: datetime) -> tuple[object, ...]:
    return crowd.projects(now), crowd.users(now), crowd.task_runs(DAWN, now), crowd.standing(now), crowd.queues(now)


def test_the_same_seed_gives_the_same_crowd_and_another_seed_another_one() -> None:
    assert everything(Crowd(7, START), EARLY) == everything(Crowd(7, START), EARLY)
    assert everything(Crowd(7, START), EARLY) != everything(Crowd(8, START), EARLY)


def test_what_was_asked_first_does_not_matter() -> None:
    """A crowd first asked for a late moment shows an early one as it would have been shown then."""
    crowd = Crowd(7, START)
    everything(crowd, LATE)

    assert everything(crowd, EARLY) == everything(Crowd(7, START), EARLY)


def test_a_later_moment_only_adds() -> None:
    crowd = Crowd(7, START)
    early_projects, early_users, early_runs = crowd.projects(EARLY), crowd.users(EARLY), crowd.task_runs(DAWN, EARLY)

    assert crowd.projects(LATE)[: len(early_projects)] == early_projects
    assert crowd.users(LATE)[: len(early_users)] == early_users
    assert crowd.task_runs(DAWN, LATE)[: len(early_runs)] == early_runs
    assert len(crowd.task_runs(DAWN, LATE)) > len(early_runs)


def test_the_log_is_in_order_and_shows_nothing_of_the_future() -> None:
    runs = Crowd(7, START).task_runs(DAWN, EARLY)

    assert [run.at for run in runs] == sorted(run.at for run in runs)
    assert runs[-1].at <= EARLY


def test_after_two_years_the_site_has_its_size() -> None:
    crowd = Crowd(7, START)
    projects = crowd.projects(LATE)
    drafts = [project for project in projects if not is_published(project, LATE)]

    assert 55 <= len(projects) <= 65
    assert 10 <= len(drafts) <= 20
    assert 40_000 <= len(crowd.task_runs(DAWN, LATE)) <= 60_000
    assert any(project.featured for project in projects)
    assert any(project.id not in crowd.standing(LATE).projects for project in projects)


def test_a_project_gets_no_more_answers_than_its_tasks_want() -> None:
    crowd = Crowd(7, START)
    task_runs = Counter(run.project for run in crowd.task_runs(DAWN, LATE))

    assert all(number <= tasks(project, LATE) * project.n_answers for project, number in task_runs.items())
    assert any(completed_tasks(project, number) == tasks(project, LATE) for project, number in task_runs.items())


def test_nobody_answers_before_the_project_or_the_account_exists() -> None:
    crowd = Crowd(7, START)
    registered_at = {user.id: user.created_at for user in crowd.users(LATE)}

    for run in crowd.task_runs(DAWN, LATE):
        assert run.project.created_at < run.at
        assert run.user_id is None or registered_at[run.user_id] < run.at


def test_answers_come_from_accounts_addresses_and_elsewhere() -> None:
    runs = Crowd(7, START).task_runs(DAWN, LATE)

    assert not any(run.user_id and run.user_ip for run in runs)
    assert any(run.user_id is None and run.user_ip is None for run in runs)
    assert len({run.user_ip for run in runs}) > 100


def test_the_standing_is_what_counting_the_log_gives() -> None:
    crowd = Crowd(7, START)
    project = crowd.projects(EARLY)[0]
    runs = [run for run in crowd.task_runs(DAWN, EARLY) if run.project == project]
    tally = crowd.standing(EARLY).projects[project.id]

    assert tally.task_runs == len(runs)
    assert tally.volunteers == len({run.user_id or run.user_ip for run in runs} - {None})
    assert tally.last_activity == runs[-1].at


def test_queues_change_from_minute_to_minute_only() -> None:
    crowd = Crowd(7, START)

    assert crowd.queues(LATE) == crowd.queues(LATE + timedelta(seconds=59))
    assert len({tuple(crowd.queues(LATE + timedelta(minutes=n)).items()) for n in range(10)}) > 1
