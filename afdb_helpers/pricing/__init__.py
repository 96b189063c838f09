"""What hosting the database would cost: bills from the providers' published meters, for the workload you have.

offers.yaml       the figures, each with source and date; offers.schema.json describes the file
offers            the price file as checked, typed data
workload          what an application uses and cannot do without
quantities        from a workload to what a meter counts
charges           from a meter to a line of a bill
fitness           which needs an offer does not meet
bills             the whole bill: own charges, missing services, labour
comparison        every bill for one workload, as a report and as a picture
advice            a recommendation with the conditions that would change it
worked            bills worked out by the providers, computed anew and compared
"""

from __future__ import annotations

from afdb_helpers.pricing.advice import recommend, turning_point
from afdb_helpers.pricing.bills import Bill, bill, bills
from afdb_helpers.pricing.charges import Charge
from afdb_helpers.pricing.comparison import compare, itemised, picture
from afdb_helpers.pricing.offers import Catalogue, Meter, Offer, load
from afdb_helpers.pricing.worked import check_bills
from afdb_helpers.pricing.workload import Project, Workload, workload

__all__ = [
    "Bill",
    "Catalogue",
    "Charge",
    "Meter",
    "Offer",
    "Project",
    "Workload",
    "bill",
    "bills",
    "check_bills",
    "compare",
    "itemised",
    "load",
    "picture",
    "recommend",
    "turning_point",
    "workload",
]
