<%@ page contentType="text/plain; charset=UTF-8" %><%
    Integer before = (Integer) session.getAttribute("visits");
    int visits = before == null ? 1 : before + 1;
    session.setAttribute("visits", visits);
%>Hello <%= request.getParameter("name") %>, visit <%= visits %>
