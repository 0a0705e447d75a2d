"""Who may do what at which address: one line for each method of each route.

`open`                anybody, signed in or not
`staff`               staff of the installation alone
`member`              whoever is signed in and a member of an organization
`jobs update`         what apps.accounts.roles says of that, for the thing that the address names;
                      with `of one's own`, of a thing that one made oneself
`..., a person`       but no API key, whatever its role
`..., its maker`      for everybody else it is not there
"""

from dataclasses import dataclass

MATRIX = """
GET    api                                                  open
GET    api/                                                 open
GET    api/docs                                             open
GET    api/health                                           open
GET    api/rate-limits                                      open
GET    api/schema                                           open
GET    health                                               open
GET    favicon.ico                                          open
GET    health/live                                          open
GET    health/ready                                         open
GET    api/health/details                                   staff
GET    metrics                                              staff
GET    robots.txt                                           open
GET    sign-in                                              open
GET    password                                             open
GET    password/<str:uidb64>/<str:token>                    open
GET    sign-up                                              open
GET    sign-up/<str:token>                                  open
GET    invitations/<str:token>                              open
GET    settings/address/<str:token>                         open
GET    unsubscribe/<str:token>                              open
POST   unsubscribe/<str:token>                              open
GET    errors                                               open
GET    errors/<str:code>                                    open

GET    api/batch/jobs                                       jobs read
GET    api/batch/jobs/events                                jobs read
POST   api/batch/upload                                     jobs create
GET    api/batch/uploads                                    jobs create
POST   api/batch/uploads                                    jobs create
GET    api/batch/uploads/<uuid:upload_id>                   jobs create, its maker
PATCH  api/batch/uploads/<uuid:upload_id>                   jobs create, its maker
DELETE api/batch/uploads/<uuid:upload_id>                   jobs create, its maker
GET    api/batch/jobs/<uuid:job_id>                         jobs read
PATCH  api/batch/jobs/<uuid:job_id>                         jobs update
DELETE api/batch/jobs/<uuid:job_id>                         jobs delete
GET    api/batch/jobs/<uuid:job_id>/files                   jobs read
GET    api/batch/jobs/<uuid:job_id>/events                  jobs read
POST   api/batch/jobs/<uuid:job_id>/cancel                  jobs update
POST   api/batch/jobs/<uuid:job_id>/pause                   jobs update
POST   api/batch/jobs/<uuid:job_id>/resume                  jobs update
POST   api/batch/jobs/<uuid:job_id>/retry                   jobs update
POST   api/batch/jobs/<uuid:job_id>/requeue                 jobs update
POST   api/batch/jobs/<uuid:job_id>/discard                 jobs update
GET    api/batch/jobs/<uuid:job_id>/results.ndjson          jobs read
GET    api/batch/jobs/<uuid:job_id>/results.zip             jobs read
GET    api/batch/jobs/<uuid:job_id>/results.csv             jobs read
GET    api/batch/jobs/<uuid:job_id>/results.xlsx            jobs read
GET    api/batch/jobs/<uuid:job_id>/results.md              jobs read
GET    api/batch/files/<uuid:file_id>                       jobs read
PATCH  api/batch/files/<uuid:file_id>                       jobs update
POST   api/batch/files/<uuid:file_id>/cancel                jobs update
POST   api/batch/files/<uuid:file_id>/pause                 jobs update
POST   api/batch/files/<uuid:file_id>/resume                jobs update
POST   api/batch/files/<uuid:file_id>/retry                 jobs update
POST   api/batch/files/<uuid:file_id>/requeue               jobs update
GET    api/batch/files/<uuid:file_id>/text                  jobs read
GET    api/batch/files/<uuid:file_id>/result                jobs read
GET    api/batch/files/<uuid:file_id>/content               jobs read
GET    api/batch/files/<uuid:file_id>/searchable            jobs read
GET    api/batch/files/<uuid:file_id>/pages/<int:number>/image  jobs read
GET    api/batch/exports                                    exports read
POST   api/batch/exports                                    exports create
GET    api/batch/exports/<uuid:export_id>                   exports read
DELETE api/batch/exports/<uuid:export_id>                   exports delete
GET    api/batch/exports/<uuid:export_id>/content           exports read
GET    api/batch/pause                                      jobs read
POST   api/batch/pause                                      organization update
DELETE api/batch/pause                                      organization update

GET    api/organization                                     organization read
PATCH  api/organization                                     organization update
DELETE api/organization                                     organization delete, a person
GET    api/members                                          members read
GET    api/members/<uuid:member_id>                         members read
PATCH  api/members/<uuid:member_id>                         members update
DELETE api/members/<uuid:member_id>                         members delete
GET    api/invitations                                      members read
POST   api/invitations                                      members create
GET    api/invitations/<uuid:invitation_id>                 members read
DELETE api/invitations/<uuid:invitation_id>                 members delete
POST   api/invitations/<uuid:invitation_id>/resend          members create
GET    api/audit                                            member
GET    api/audit.ndjson                                     member
GET    api/audit.csv                                        member
GET    api/keys                                             member
POST   api/keys                                             keys create, a person
GET    api/keys/<uuid:api_key_id>                           keys read
DELETE api/keys/<uuid:api_key_id>                           keys delete
GET    api/webhooks                                         member
POST   api/webhooks                                         webhooks create
GET    api/webhooks/<uuid:endpoint_id>                      webhooks read
PATCH  api/webhooks/<uuid:endpoint_id>                      webhooks update
DELETE api/webhooks/<uuid:endpoint_id>                      webhooks delete
GET    api/webhooks/<uuid:endpoint_id>/deliveries           webhooks read
POST   api/webhooks/<uuid:endpoint_id>/test                 webhooks update
POST   api/webhooks/<uuid:endpoint_id>/rotate               webhooks update
POST   api/webhooks/<uuid:endpoint_id>/secret               webhooks update
GET    api/webhooks/deliveries/<uuid:delivery_id>           webhooks read
POST   api/webhooks/deliveries/<uuid:delivery_id>/redeliver webhooks update
GET    api/notifications                                    member
GET    api/notifications/unread                             member
GET    api/notifications/preferences                        member
PATCH  api/notifications/preferences                        member
POST   api/notifications/read                               member
GET    api/notifications/<uuid:notification_id>             member, its maker
PATCH  api/notifications/<uuid:notification_id>             member, its maker

GET                                                         jobs read
GET    jobs                                                 jobs read
GET    jobs/new                                             jobs create
POST   jobs/new                                             jobs create
POST   jobs/bulk                                            jobs update of one's own
GET    jobs/<uuid:job_id>                                   jobs read
GET    jobs/<uuid:job_id>/live                              jobs read
GET    jobs/<uuid:job_id>/cancel                            jobs update
POST   jobs/<uuid:job_id>/cancel                            jobs update
GET    jobs/<uuid:job_id>/pause                             jobs update
POST   jobs/<uuid:job_id>/pause                             jobs update
POST   jobs/<uuid:job_id>/resume                            jobs update
POST   jobs/<uuid:job_id>/priority                          jobs update
POST   jobs/<uuid:job_id>/retry                             jobs update
GET    jobs/<uuid:job_id>/requeue                           jobs update
POST   jobs/<uuid:job_id>/requeue                           jobs update
POST   jobs/<uuid:job_id>/keep                              jobs update
POST   jobs/<uuid:job_id>/discard                           jobs update
POST   jobs/<uuid:job_id>/exports                           exports create
POST   jobs/<uuid:job_id>/exports/<uuid:export_id>/delete   exports delete
GET    jobs/<uuid:job_id>/delete                            jobs delete
POST   jobs/<uuid:job_id>/delete                            jobs delete
GET    exports                                              exports read
POST   exports                                              exports create
POST   exports/<uuid:export_id>/again                       exports create
POST   exports/<uuid:export_id>/delete                      exports delete
GET    files/<uuid:file_id>                                 jobs read
GET    files/<uuid:file_id>/live                            jobs read
GET    files/<uuid:file_id>/pause                           jobs update
POST   files/<uuid:file_id>/pause                           jobs update
POST   files/<uuid:file_id>/cancel                          jobs update
POST   files/<uuid:file_id>/resume                          jobs update
POST   files/<uuid:file_id>/retry                           jobs update
POST   files/<uuid:file_id>/requeue                         jobs update
GET    settings/profile                                     member
POST   settings/profile                                     member
GET    settings/sessions                                    member
GET    settings/sessions/end                                member
POST   settings/sessions/end                                member
GET    settings/sessions/<uuid:session_id>/end              member, its maker
POST   settings/sessions/<uuid:session_id>/end              member, its maker
GET    settings/audit                                       member
GET    settings/members                                     members read
POST   settings/members                                     members create
POST   settings/members/<uuid:member_id>                    members update
GET    settings/members/<uuid:member_id>/remove             members delete
POST   settings/members/<uuid:member_id>/remove             members delete
POST   settings/invitations/<uuid:invitation_id>/resend     members create
GET    settings/invitations/<uuid:invitation_id>/revoke     members delete
POST   settings/invitations/<uuid:invitation_id>/revoke     members delete
GET    settings/keys                                        member
POST   settings/keys                                        keys create
GET    settings/keys/<uuid:key_id>/revoke                   keys delete
POST   settings/keys/<uuid:key_id>/revoke                   keys delete
GET    settings/organization                                organization read
POST   settings/organization                                organization update
GET    settings/organization/new                            member
POST   settings/organization/new                            member
GET    settings/organization/delete                         organization delete
POST   settings/organization/delete                         organization delete
GET    settings/account                                     member
POST   settings/account/export                              member
GET    settings/account/delete                              member
POST   settings/account/delete                              member
GET    settings/webhooks                                    webhooks update
GET    settings/webhooks/new                                webhooks create
POST   settings/webhooks/new                                webhooks create
GET    settings/webhooks/<uuid:endpoint_id>                 webhooks update
GET    settings/webhooks/<uuid:endpoint_id>/edit            webhooks update
POST   settings/webhooks/<uuid:endpoint_id>/edit            webhooks update
GET    settings/webhooks/<uuid:endpoint_id>/delete          webhooks delete
POST   settings/webhooks/<uuid:endpoint_id>/delete          webhooks delete
POST   settings/webhooks/<uuid:endpoint_id>/test            webhooks update
POST   settings/webhooks/<uuid:endpoint_id>/rotate          webhooks update
POST   settings/webhooks/<uuid:endpoint_id>/secret          webhooks update
POST   settings/webhooks/<uuid:endpoint_id>/enable          webhooks update
POST   settings/webhooks/<uuid:endpoint_id>/disable         webhooks update
GET    settings/webhooks/deliveries/<uuid:delivery_id>      webhooks update
POST   settings/webhooks/deliveries/<uuid:delivery_id>/redeliver  webhooks update
GET    notifications                                        member
GET    notifications/badge                                  member
GET    notifications/preferences                            member
POST   notifications/preferences                            member
POST   notifications/read                                   member
GET    notifications/<uuid:pk>                              member, its maker
POST   notifications/<uuid:pk>/read                         member, its maker
POST   organization                                         member
POST   preferences                                          open
POST   sign-out                                             member
"""


@dataclass(frozen=True)
class Line:
    verb: str
    route: str
    rule: str

    @property
    def is_api(self) -> bool:
        return self.route.startswith("api")

    @property
    def is_open(self) -> bool:
        return self.rule == "open"

    @property
    def is_for_staff(self) -> bool:
        return self.rule == "staff"

    @property
    def is_for_persons(self) -> bool:
        return self.rule.endswith(", a person")

    @property
    def is_its_makers(self) -> bool:
        return self.rule.endswith(", its maker")

    @property
    def is_of_ones_own(self) -> bool:
        return self.rule.endswith(" of one's own")

    @property
    def permission(self) -> tuple[str, str] | None:
        """Resource and action; None for what every member may."""
        words = self.rule.partition(",")[0].split()
        return None if words[0] in ("open", "member", "staff") else (words[0], words[1])


def lines() -> list[Line]:
    found = []
    for text in filter(None, MATRIX.splitlines()):
        route, _, rule = text[7:].partition(" ")
        found.append(Line(text[:7].strip(), route, rule.strip()))
    return found
