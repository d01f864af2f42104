"""The report: a page for people, of parts common to all tasks and parts that each task adds."""

from headway.evaluation.report.task_page import CardFacts, Section, TaskPage

__all__ = ["CardFacts", "Section", "TaskPage"]
