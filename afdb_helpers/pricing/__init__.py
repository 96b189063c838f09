"""What hosting the database would cost: bills from the providers' published meters, for the workload you have.

offers.yaml       the figures, each with source and date; offers.schema.json describes the file
offers            what is sold, as checked, typed data
pricefile         the price file read into it
workload          what an application uses and cannot do without
quantities        from a workload to what a meter counts
charges           from a meter to a line of a bill
fitness           which needs an offer does not meet
bills             the whole bill: own charges, missing services, labour
arithmetic        the operations of those rules, on decimals or on arrays
many              the same bills for thousands of workloads at once
comparison        every bill for one workload, as a report and as a picture
contenders        the offers worth a line in a picture
outlook           total cost while the workload grows
curves            bills as one input grows, and where the answer turns
simulation        ranges over uncertain inputs, and what moves a bill
pictures          how all of them are drawn
advice            a recommendation with the conditions that would change it
measured          what a discovery measured, as inputs of a workload
feeds             prices out of a provider's own file; feeds.yaml says where they stand in it
refreshing        the price file brought up to date from it
worked            bills worked out by the providers, computed anew and compared
"""

from __future__ import annotations

from afdb_helpers.pricing.advice import recommend, turning_point
from afdb_helpers.pricing.bills import Bill, bill, bills
from afdb_helpers.pricing.charges import Charge
from afdb_helpers.pricing.comparison import compare, itemised, picture
from afdb_helpers.pricing.curves import break_even
from afdb_helpers.pricing.many import many
from afdb_helpers.pricing.measured import measured
from afdb_helpers.pricing.offers import Catalogue, Meter, Offer
from afdb_helpers.pricing.outlook import outlook
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.simulation import simulate, tornado
from afdb_helpers.pricing.worked import check_bills
from afdb_helpers.pricing.workload import INPUTS, Project, Workload, workload

__all__ = [
    "INPUTS",
    "Bill",
    "Catalogue",
    "Charge",
    "Meter",
    "Offer",
    "Project",
    "Workload",
    "bill",
    "bills",
    "break_even",
    "check_bills",
    "compare",
    "itemised",
    "load",
    "many",
    "measured",
    "outlook",
    "picture",
    "recommend",
    "simulate",
    "tornado",
    "turning_point",
    "workload",
]
